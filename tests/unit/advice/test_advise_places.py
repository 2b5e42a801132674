"""Labels of files, volumes and ports that are corrected before anything is allowed."""

from __future__ import annotations

import pytest

from selab.advice.advise import Situation, Volume, advise
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from tests.unit.advice.conftest import need

RUN = Situation("app_t", (Volume("/data"), Volume("/machine", "/srv/www")), "volume_t")


def relabelled(
    denied: DeniedAccess, expert: PolicyKnowledge, situation: Situation = RUN
) -> list[tuple[str, str]]:
    """The texts and the reasons of the advice to change a label."""
    (advice,) = advise([denied], expert, {}, situation)
    return [(remedy.text, remedy.why) for remedy in advice.remedies if remedy.kind is Kind.RELABEL]


PRIVATE = "label: private  (the volume /data)"


@pytest.mark.parametrize("path", ["/data", "/data/a/b"])
def test_a_copied_volume_is_labelled_for_containers(path: str, expert: PolicyKnowledge) -> None:
    ((text, why),) = relabelled(need("app_t", "home_t", "file", "write", path=path), expert)
    assert text == PRIVATE and {path, "home_t", "volume_t"} <= set(why.replace(";", "").split())


@pytest.mark.parametrize(
    "denied",
    [
        need("app_t", "home_t", "file", "write", path="/database"),
        need("app_t", "home_t", "file", "write", path="/var/data"),
        need("app_t", "home_t", "file", "write"),
        need("web_t", "home_t", "file", "write", path="/data/x"),
        need("app_t", "volume_t", "file", "execute", path="/data/x"),
        need("app_t", "home_t", "file", "execute", path="/data/x"),
    ],
    ids=[
        "a path that begins alike",
        "a path that ends alike",
        "no path",
        "another domain",
        "the label is right",
        "the right label would not help",
    ],
)
def test_a_volume_is_not_labelled_for(denied: DeniedAccess, expert: PolicyKnowledge) -> None:
    assert relabelled(denied, expert) == []


def test_of_several_volumes_the_one_of_the_path_is_labelled(expert: PolicyKnowledge) -> None:
    situation = Situation("app_t", (Volume("/first"), Volume("/data")), "volume_t")
    denied = need("app_t", "home_t", "file", "write", path="/data/x")
    assert [text for text, _ in relabelled(denied, expert, situation)] == [PRIVATE]


def test_a_file_of_the_machine_is_restored_to_the_type_of_its_path(expert: PolicyKnowledge) -> None:
    ((text, why),) = relabelled(need("web_t", "home_t", "file", "read", path="/srv/www/a"), expert)
    assert text == "restorecon -v /srv/www/a"
    assert {"/srv/www/a", "home_t", "content_t"} <= set(why.replace(";", "").split())


@pytest.mark.parametrize(
    "denied",
    [
        need("web_t", "home_t", "file", "read", path="srv/www/a"),
        need("web_t", "content_t", "file", "write", path="/srv/www/a"),
        need("web_t", "home_t", "file", "read", path="/elsewhere"),
        need("web_t", "web_port_t", "file", "read", path="/srv/www/a"),
    ],
    ids=["no absolute path", "the label is right", "no file context", "no type of files"],
)
def test_a_file_is_not_restored_for(denied: DeniedAccess, expert: PolicyKnowledge) -> None:
    assert relabelled(denied, expert) == []


def test_a_mounted_directory_is_restored_by_its_path_in_the_guest(expert: PolicyKnowledge) -> None:
    machine = Situation("web_t", RUN.volumes, "volume_t")
    denied = need("web_t", "home_t", "file", "read", path="/machine/sub/a")
    assert [text for text, _ in relabelled(denied, expert, machine)] == ["restorecon -v /srv/www/sub/a"]


PORTS = """
(class tcp_socket (name_bind name_connect create))
(class udp_socket (name_bind))
(typeattribute port_type)
(typeattribute file_type)
(typeattribute noxattrfs)
(type httpd_t) (type my_web_t)
(type dns_port_t) (type http_cache_port_t) (type http_port_t) (type web_port_t)
(typeattributeset port_type (dns_port_t http_cache_port_t http_port_t web_port_t))
(allow httpd_t http_port_t (tcp_socket (name_bind)))
(allow httpd_t http_cache_port_t (tcp_socket (name_connect)))
(allow httpd_t http_port_t (udp_socket (name_bind)))
(allow httpd_t dns_port_t (tcp_socket (name_connect)))
(allow my_web_t web_port_t (tcp_socket (name_bind name_connect)))
"""


@pytest.fixture
def ports() -> PolicyKnowledge:
    return PolicyKnowledge(PolicyIndex(read_flat(PORTS)), InterfaceTable([]), ())


@pytest.mark.parametrize(
    ("denied", "command"),
    [
        (
            need("httpd_t", "dns_port_t", "tcp_socket", "name_bind", detail="src=81"),
            "semanage port -a -t http_port_t -p tcp 81",
        ),
        (
            need("httpd_t", "web_port_t", "tcp_socket", "name_connect", detail="dest=82"),
            "semanage port -a -t http_cache_port_t -p tcp 82",
        ),
        (
            need("httpd_t", "dns_port_t", "udp_socket", "name_bind", detail="src=83"),
            "semanage port -a -t http_port_t -p udp 83",
        ),
        (
            need("my_web_t", "dns_port_t", "tcp_socket", "name_bind", "name_connect", detail="x src=84"),
            "semanage port -a -t web_port_t -p tcp 84",
        ),
    ],
)
def test_a_port_gets_a_type_that_is_named_for_the_domain_and_that_it_may_use(
    denied: DeniedAccess, command: str, ports: PolicyKnowledge
) -> None:
    ((text, why),) = relabelled(denied, ports)
    assert text == command
    assert {text.split()[-1], denied.source, denied.target, text.split()[4]} <= set(
        why.replace(";", "").split()
    )


@pytest.mark.parametrize(
    "denied",
    [
        need("httpd_t", "dns_port_t", "tcp_socket", "name_bind"),
        need("httpd_t", "my_web_t", "tcp_socket", "name_bind", detail="src=81"),
        need("httpd_t", "dns_port_t", "tcp_socket", "name_bind", "create", detail="src=81"),
        need("httpd_t", "web_port_t", "tcp_socket", "name_bind", "name_connect", detail="src=81"),
        need("my_web_t", "dns_port_t", "udp_socket", "name_bind", detail="src=81"),
    ],
    ids=["no number", "no port", "another permission", "no type allows both", "no type allows it"],
)
def test_a_port_keeps_its_type_for(denied: DeniedAccess, ports: PolicyKnowledge) -> None:
    assert relabelled(denied, ports) == []


def test_advice_about_labels_grants_nothing(expert: PolicyKnowledge) -> None:
    (advice,) = advise([need("app_t", "home_t", "file", "write", path="/data/x")], expert, {}, RUN)
    assert isinstance(advice.best, Remedy) and not advice.best.is_policy
