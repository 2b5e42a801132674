"""What a new policy is written for: the known base policy, or the project's future one."""

from __future__ import annotations

import pytest

from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.container_template import TEMPLATE
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.statements import Grant
from selab.progress import Progress
from selab.project import Project
from selab.scaffold import target
from selab.scaffold.target import Known, Target, target_of

BIND = Grant("allow", "$1", "http_port_t", "tcp_socket", frozenset({"name_bind"}))
LISTEN = Interface("bind_http", "interface", "kernel/net.if", 1, "", ("domain",), 1, grants=(BIND,))


def template(*parameters: str) -> Interface:
    return Interface(TEMPLATE, "template", "services/container.if", 1, "", parameters, 1)


@pytest.fixture
def known(base: BasePolicy) -> Target:
    base.flat.write_text(
        base.flat.read_text().replace(" (type ", "\n(type ")
    )  # as in a flat base: a line each
    (base.directory / "cil" / "net.cil").touch()
    ports = {"http_port_t": ["tcp 80"], "unreserved_port_t": ["tcp 1024-65535"]}
    return Target("", Known(base, InterfaceTable([LISTEN]), ports))


def test_a_known_base_policy_names_ports_and_interfaces(known: Target) -> None:
    assert known.port_type("tcp", 80) == "http_port_t"
    assert known.binding_interface("tcp", "http_port_t") == "bind_http"
    assert known.binding_interface("udp", "http_port_t") == ""


def test_an_unknown_base_policy_names_nothing() -> None:
    unknown = Target("")
    assert (unknown.port_type("tcp", 80), unknown.binding_interface("tcp", "http_port_t")) == ("", "")
    assert not unknown.has("base")
    assert unknown.file_type == "container_file_t"


@pytest.mark.parametrize(("name", "there"), [("net", True), ("etc", True), ("web", False), ("etc_t", False)])
def test_the_base_policys_modules_and_types_are_taken_names(known: Target, name: str, there: bool) -> None:
    assert known.has(name) is there


def test_the_type_of_files_is_that_of_the_container_runtimes(known: Target, base: BasePolicy) -> None:
    assert known.file_type == "container_file_t"
    (base.directory / "contexts").mkdir()
    (base.directory / "contexts/lxc_contexts").write_text('file = "u:object_r:svirt_file_t:s0"\n')
    assert known.file_type == "svirt_file_t"


@pytest.mark.parametrize("parameters", [("prefix",), ("prefix", "files")])
def test_a_known_base_policy_is_named(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch, parameters: tuple[str, ...]
) -> None:
    monkeypatch.setattr(target, "find_base", lambda *_: base)
    monkeypatch.setattr(target, "interface_table", lambda _: InterfaceTable([template(*parameters)]))
    result = target_of(project, Progress())
    assert "ffffffffffff" in result.remark
    assert result.known is not None and result.known.base is base


def test_a_base_policy_without_a_required_interface_is_an_error(known: Target) -> None:
    known.require(LISTEN.name, "a package")
    with pytest.raises(SelabError, match=f"no {TEMPLATE}") as caught:
        known.require(TEMPLATE, "a package")
    assert "a package" in caught.value.hint


def test_an_unknown_base_policy_may_have_any_interface() -> None:
    Target("").require(TEMPLATE, "a package")
    assert Target("").may_have(TEMPLATE)


def test_the_guests_equivalences_and_file_contexts_are_known(known: Target, base: BasePolicy) -> None:
    directory = base.directory / "contexts" / "files"
    directory.mkdir(parents=True)
    (directory / "file_contexts.subs_dist").write_text("/run /var/run\n")
    (directory / "file_contexts").write_text("/usr/sbin/x\t--\tu:object_r:x_exec_t:s0\n")
    assert known.looked_up("/run/x") == "/var/run/x"
    assert known.file_contexts() == {("/usr/sbin/x", "--"): "x_exec_t"}
    assert (Target("").looked_up("/run/x"), Target("").file_contexts()) == ("/run/x", {})


def test_without_a_base_policy_the_remark_says_what_is_missing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "find_base", lambda *_: None)
    result = target_of(project, Progress())
    assert result.known is None and "interface for a port" in result.remark


def test_it_knows_the_attributes_of_a_known_base_policy(based: BasePolicy) -> None:
    known = Known(based, InterfaceTable([]), target.ports_of(based))
    assert [Target("", known).has_attribute(name) for name in ("domain", "absent")] == [True, False]


def test_an_unknown_base_policy_may_have_any_attribute() -> None:
    assert Target("").has_attribute("absent")
