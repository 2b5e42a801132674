"""A new policy in CIL: a block as udica writes it, which compiles, and says what each rule is for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.guest import Guest
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.compile_cil import compile_cil
from selab.policy.lint.cil import CilUnderLint, lint_cil, names_of_base
from selab.policy.module import load_module
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from selab.scaffold import target as target
from selab.scaffold.cil_policy import cil_text
from selab.scaffold.image_config import ImageConfig
from selab.scaffold.policy import new_policy
from selab.scaffold.target import Target
from tests import centos_like

SERVER = ImageConfig((("tcp", 80), ("udp", 53)), ("/srv/data",))
UNKNOWN = Target("")
TEMPLATES = """
(block container (blockabstract container) (type process) (typeattributeset domain (process)))
(block restricted_net_container (blockabstract restricted_net_container)
    (allow process process (tcp_socket (create))))
"""


@contextlib.contextmanager
def no_guest() -> Iterator[Guest]:
    raise AssertionError("no guest is to be asked")
    yield


def made(project: Project) -> str:
    new_policy(project, "web", None, no_guest, Progress(), in_cil=True)
    return (project.policies / "web.cil").read_text()


def rules(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if not line.strip().startswith(";")]


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_base", lambda *_: None)


@pytest.mark.usefixtures("unknown")
def test_without_a_template_of_containers_the_block_declares_a_container_domain(project: Project) -> None:
    project.templates.mkdir()
    (project.templates / "base_container.cil").write_text("(block other)")
    assert rules(made(project)) == [
        "(block web",
        "(type process)",
        "(roletype system_r process)",
        "(typeattributeset domain (process))",
        "(typeattributeset container_domain (process))",
        "(typeattributeset mcs_constrained_type (process))",
        ")",
    ]


@pytest.mark.usefixtures("unknown")
def test_with_a_template_the_block_inherits_it(project: Project) -> None:
    project.templates.mkdir()
    (project.templates / "base.cil").write_text(TEMPLATES)
    assert rules(made(project)) == ["(block web", "(blockinherit container)", ")"]
    assert load_module(project, "web").domain == "web.process"


@pytest.mark.usefixtures("unknown")
def test_a_file_that_is_there_stays_as_it_is(project: Project) -> None:
    (project.policies / "web.te").write_text("mine")
    with pytest.raises(InputError, match="already"):
        made(project)
    assert [path.name for path in project.policies.iterdir()] == ["web.te"]


@pytest.mark.toolchain
def test_it_compiles_and_the_checks_find_nothing(project: Project, tmp_path: Path) -> None:
    base = centos_like.write_base(tmp_path / "centos", denies=False)
    (project.policies / "web.cil").write_text(cil_text("web", "", ImageConfig(), UNKNOWN, ()))
    module = load_module(project, "web")
    plain = compile_cil(module, base, Toolchain(LocalHost(), str(tmp_path / "work"))).cil
    assert lint_cil(CilUnderLint(module, base, names_of_base(base), plain=plain)) == []


def test_attributes_that_the_base_policy_lacks_are_left_out(based: BasePolicy) -> None:
    known = Target("", target.Known(based, target.InterfaceTable([]), target.ports_of(based)))
    text = cil_text("web", "", ImageConfig(), known, ())
    assert [line for line in rules(text) if "attribute" in line] == ["(typeattributeset domain (process))"]


def test_a_server_has_its_sockets_and_its_ports(based: BasePolicy) -> None:
    known = Target("", target.Known(based, target.InterfaceTable([]), target.ports_of(based)))
    text = cil_text("web", "httpd", SERVER, known, ())
    assert [line for line in rules(text) if "_bind" in line] == [
        "(allow process node_t (tcp_socket (node_bind)))",
        "(allow process http_port_t (tcp_socket (name_bind)))",
        "(allow process node_t (udp_socket (node_bind)))",
        "(allow process dns_port_t (udp_socket (name_bind)))",
    ]


def test_a_server_inherits_the_template_for_its_sockets() -> None:
    text = cil_text("web", "httpd", SERVER, UNKNOWN, {"container", "restricted_net_container"})
    assert rules(text)[1:4] == ["(blockinherit container)", "", "(blockinherit restricted_net_container)"]
    assert "self" not in "".join(rules(text))


def test_without_a_base_policy_a_port_is_a_comment() -> None:
    assert "; It listens on tcp 80: the type is unknown" in cil_text("web", "x", SERVER, UNKNOWN, ())


@pytest.mark.parametrize(
    ("user", "about"), [("app", "The image runs as the user app"), ("", "The image starts as root.")]
)
def test_it_says_as_which_user_the_image_runs(user: str, about: str) -> None:
    assert f"; {about}" in cil_text("web", "x", ImageConfig(user=user), UNKNOWN, ())


@pytest.mark.parametrize("path", ["/a)(allow b", "/a\n(allow b", "/\u00e9"])
def test_a_volume_of_an_image_adds_no_statement(path: str) -> None:
    text = cil_text("web", "x", ImageConfig((), (path,)), UNKNOWN, ())
    assert [line for line in rules(text) if "allow" in line] == []
    assert text.isascii()
