"""A new policy fits the base policy, says what each rule is for, and never replaces an existing file."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module
from selab.policy.interfaces import interface_table
from selab.policy.lint import lint, module_under_lint
from selab.policy.lint.names import vocabulary
from selab.policy.module import load_module
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from selab.scaffold import target as target
from selab.scaffold.image_config import ImageConfig
from selab.scaffold.policy import NewPolicy, new_policy, policy_text
from selab.scaffold.target import Target, target_of
from tests.unit.scaffold.conftest import TWO

MORE_MACROS = (
    "define(`create_stream_socket_perms',`{ create }')\ndefine(`create_socket_perms',`{ create }')\n"
)
NODE = """
interface(`corenet_tcp_bind_generic_node',`
	gen_require(`
		type etc_t;
	')
	allow $1 etc_t:tcp_socket node_bind;
')
interface(`corenet_udp_bind_generic_node',`
	gen_require(`
		type etc_t;
	')
	allow $1 etc_t:udp_socket node_bind;
')
"""

DOMAIN = [
    "policy_module(web, 1.0)",
    "gen_require(`",
    "\ttype container_file_t;",
    "')",
    "container_domain_template(web, container)",
]


@contextlib.contextmanager
def no_guest() -> Iterator[Guest]:
    raise AssertionError("no guest is to be asked")
    yield


def made(project: Project, name: str = "web", image: str | None = None) -> NewPolicy:
    return new_policy(project, name, image, no_guest, Progress())


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def known(based: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> BasePolicy:
    monkeypatch.setattr(target, "find_base", lambda *_: based)
    return based


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_base", lambda *_: None)


@pytest.mark.toolchain
def test_it_has_a_domain_and_what_the_image_needs(imaged: Project, known: BasePolicy) -> None:
    assert made(imaged, "web", "httpd").file == "policies/web.te"
    assert rules((imaged.policies / "web.te").read_text()) == [
        *DOMAIN,
        "allow web_t self:tcp_socket create_stream_socket_perms;",
        "allow web_t self:udp_socket create_socket_perms;",
        "corenet_tcp_bind_generic_node(web_t)",
        "corenet_tcp_bind_http_port(web_t)",
        "corenet_udp_bind_generic_node(web_t)",
        "corenet_udp_bind_dns_port(web_t)",
    ]


@pytest.mark.toolchain
def test_every_rule_has_a_comment_above(
    imaged: Project, two_arguments: BasePolicy, known: BasePolicy
) -> None:
    made(imaged, "web", "httpd")
    lines = (imaged.policies / "web.te").read_text().splitlines()
    rules = [
        (above, line)
        for above, line in itertools.pairwise(lines)
        if line and not line.startswith(("#", "\t", "')"))
    ]
    assert rules and [line for above, line in rules if not above.startswith("# ")] == []


@pytest.mark.toolchain
@pytest.mark.parametrize("arguments", [1, 2])
def test_the_lint_finds_nothing(
    arguments: int, imaged: Project, known: BasePolicy, request: pytest.FixtureRequest
) -> None:
    if arguments == 2:
        request.getfixturevalue("two_arguments")
    macros = known.headers / "include" / "support" / "macros.spt"
    macros.write_text(macros.read_text() + MORE_MACROS)
    (known.headers / "include" / "kernel" / "node.if").write_text(NODE)
    made(imaged, "web", "httpd")
    view = module_under_lint(load_module(imaged, "web"), known, vocabulary(known), interface_table(known), ())
    assert list(lint(view)) == []


@pytest.mark.toolchain
def test_a_port_without_an_interface_is_a_comment(known: BasePolicy, project: Project) -> None:
    text = policy_text("web", "x", ImageConfig((("tcp", 3456),)), target_of(project, Progress()))
    assert "# on tcp 3456 (unreserved_port_t): the base policy has no interface" in text
    assert rules(text)[-1] == "corenet_tcp_bind_generic_node(web_t)"


@pytest.mark.toolchain
def test_a_volume_needs_no_rule_and_says_how_it_is_labelled(imaged: Project, known: BasePolicy) -> None:
    made(imaged, "web", "httpd")
    text = (imaged.policies / "web.te").read_text()
    assert "container_file_t" in text
    assert "#   /srv/web\\.d(/.*)?\tgen_context(system_u:object_r:web_data_t,s0)" in text
    assert not (imaged.policies / "web.fc").exists()


@pytest.mark.toolchain
@pytest.mark.parametrize("template", [TWO, TWO.replace("$2_file_t", "$1_t")], ids=["CentOS", "Debian"])
def test_the_template_always_gets_two_arguments_and_the_module_compiles(
    template: str, project: Project, known: BasePolicy, tools: Toolchain
) -> None:
    (known.headers / "include" / "services" / "container.if").write_text(template)
    made(project)
    assert rules((project.policies / "web.te").read_text()) == DOMAIN
    assert compile_module(load_module(project, "web"), known, tools).types == {"web_t"}


@pytest.mark.usefixtures("unknown")
def test_without_a_base_policy_the_template_gets_two_arguments_too(project: Project) -> None:
    remark = made(project).remarks[0]
    assert rules((project.policies / "web.te").read_text()) == DOMAIN
    assert "base policy is unknown" in remark


def test_without_a_base_policy_a_port_is_a_comment() -> None:
    text = policy_text("web", "x", ImageConfig((("tcp", 80),)), Target(1, ""))
    assert "# on tcp 80: the interface is unknown" in text


@pytest.mark.toolchain
def test_a_base_policy_without_the_template_is_an_error(known: BasePolicy, project: Project) -> None:
    (known.headers / "include" / "services" / "container.if").unlink()
    with pytest.raises(SelabError, match="no container_domain_template"):
        made(project)


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["base", "kernel"])
def test_a_name_of_the_base_policy_is_refused(name: str, known: BasePolicy, project: Project) -> None:
    with pytest.raises(InputError, match=f"already has '{name}'"):
        made(project, name)
    assert list(project.policies.iterdir()) == []


@pytest.mark.parametrize("name", ["", "9x", "a-b", "a.b", "a b", "../x", "x\n", "none", "é"])
def test_a_name_that_will_not_do_is_refused(name: str, project: Project) -> None:
    with pytest.raises(InputError):
        made(project, name)


@pytest.mark.parametrize("name", ["3scale", "a-b", "a.b", "", "é", "../x", "9" * 80])
def test_the_name_that_a_refusal_suggests_is_accepted(name: str, project: Project, known: BasePolicy) -> None:
    with pytest.raises(InputError) as caught:
        made(project, name)
    suggestion = caught.value.hint.removeprefix("Use for example ").removesuffix(".")
    assert made(project, suggestion)


@pytest.mark.parametrize("ending", ["te", "fc", "if"])
def test_a_file_that_is_there_stays_as_it_is(ending: str, project: Project, known: BasePolicy) -> None:
    mine = project.policies / f"web.{ending}"
    mine.write_text("mine")
    with pytest.raises(InputError, match="already"):
        made(project)
    assert [path.read_text() for path in project.policies.iterdir()] == ["mine"]


def test_a_link_that_leads_nowhere_is_not_followed(
    project: Project, known: BasePolicy, tmp_path: Path
) -> None:
    (project.policies / "web.te").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="already"):
        made(project)


@pytest.mark.toolchain
def test_policies_are_not_written_outside_of_the_project(
    project: Project, known: BasePolicy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    project.policies.rmdir()
    project.policies.symlink_to(elsewhere)
    with pytest.raises(InputError, match="outside"):
        made(project)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.toolchain
def test_what_is_strange_in_an_image_stays_within_its_comment(known: BasePolicy, project: Project) -> None:
    config = ImageConfig((), ("/a b`'$1#x(é)",), user="x`'é")
    text = policy_text("web", "x", config, target_of(project, Progress()))
    assert text.isascii()
    assert rules(text) == DOMAIN
    expanded = subprocess.run(["m4"], input=text, capture_output=True, text=True, check=True).stdout
    assert rules(expanded) == [line.translate(str.maketrans("", "", "`'")) for line in rules(text)]
