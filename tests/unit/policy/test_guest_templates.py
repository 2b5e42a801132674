"""Templates of the guest: which file counts, what a policy gets from it, and what an error about it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.guest_templates import all_on_base, guest_templates, sources_of_templates, template_blocks
from selab.policy.module import GUEST_TEMPLATES, OWN_TEMPLATES, PolicyModule, all_templates, load_module
from selab.policy.on_base import on_base
from selab.policy.survey import StoreFacts
from selab.policy.toolchain import Toolchain
from selab.project import Project, find_project
from tests import centos_like

WEB = "(block web (blockinherit container) (blockinherit log_container))"


@pytest.fixture
def base(tmp_path: Path) -> BasePolicy:
    """A base policy of which only the templates count."""
    return BasePolicy(StoreFacts("test", 33, True, False, ""), tmp_path / "base", frozenset())


def of_guest(base: BasePolicy, **texts: str) -> None:
    (base.directory / "templates").mkdir(parents=True)
    for name, text in texts.items():
        (base.directory / "templates" / f"{name}.cil").write_text(text)


def of_project(project: Project, **texts: str) -> None:
    project.templates.mkdir()
    for name, text in texts.items():
        (project.templates / f"{name}.cil").write_text(text)


def web(project: Project, base: BasePolicy, text: str = WEB) -> PolicyModule:
    (project.policies / "web.cil").write_text(text)
    return on_base(load_module(project, "web"), base)


def used(module: PolicyModule) -> dict[str, Path]:
    """The directories of the templates that a module uses, by their names."""
    return {each.name: each.directory for each in module.templates}


def test_a_guest_without_templates_gets_selabs(project: Project, base: BasePolicy) -> None:
    assert set(used(web(project, base)).values()) == {OWN_TEMPLATES}


def test_the_guests_file_replaces_selabs_of_the_same_name(project: Project, base: BasePolicy) -> None:
    of_guest(base, base_container="(block container (type process))")
    assert used(web(project, base)) == {"base_container": GUEST_TEMPLATES, "log_container": OWN_TEMPLATES}


def test_the_projects_file_replaces_the_guests_of_the_same_name(project: Project, base: BasePolicy) -> None:
    of_guest(base, base_container="(block container (type process))")
    of_project(project, base_container="(block container (type process) (type own))")
    assert used(web(project, base))["base_container"] == project.templates


def test_the_guests_file_hides_every_block_of_selabs(project: Project, base: BasePolicy) -> None:
    of_guest(base, log_container="(block log_container)")
    assert used(web(project, base, "(block web (blockinherit log_rw_container))")) == {}


@pytest.mark.parametrize(("place", "other"), [("project", "guest"), ("guest", "selab")])
def test_of_two_files_with_one_block_the_nearer_one_counts(
    project: Project, base: BasePolicy, place: str, other: str
) -> None:
    block = "(block container (type process))"
    of_guest(base, zz_container=block)
    if place == "project":
        of_project(project, base_container=block)
    counts = {"project": ("base_container", project.templates), "guest": ("zz_container", GUEST_TEMPLATES)}
    assert used(web(project, base, "(block web (blockinherit container))")) == dict([counts[place]])


def test_a_template_of_the_guest_may_inherit_from_one_of_selab(project: Project, base: BasePolicy) -> None:
    of_guest(base, more="(block more (blockinherit container))")
    module = web(project, base, "(block web (blockinherit more))")
    assert used(module) == {"base_container": OWN_TEMPLATES, "more": GUEST_TEMPLATES}


def test_a_policy_that_the_policy_requires_gets_them_too(project: Project, base: BasePolicy) -> None:
    (project.root / "selab.yaml").write_text("policies: {app: {requires: [web]}}\n")
    (project.policies / "app.cil").write_text("(block app (blockinherit web))")
    (project.policies / "web.cil").write_text(WEB)
    of_guest(base, base_container="(block container (type process))")
    module = on_base(load_module(find_project(project.root), "app"), base)
    required = next(each for each in module.requires if each.name == "web")
    assert used(module)["base_container"] == used(required)["base_container"] == GUEST_TEMPLATES
    assert [each.name for each in module.all].count("base_container") == 1


def test_the_templates_are_those_of_the_last_base_policy(
    project: Project, base: BasePolicy, tmp_path: Path
) -> None:
    of_guest(base, base_container="(block container (type process))")
    module = on_base(web(project, base), replace(base, directory=tmp_path / "other"))
    assert set(used(module).values()) == {OWN_TEMPLATES}


def test_a_changed_template_of_the_guest_changes_the_digest_of_the_sources(
    project: Project, base: BasePolicy
) -> None:
    of_guest(base, base_container="(block container (type process))")
    before = web(project, base).digest_of_all
    (base.directory / "templates/base_container.cil").write_text("(block container (type process) (type a))")
    assert web(project, base).digest_of_all != before


def test_a_te_has_no_templates(project: Project, base: BasePolicy) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    of_guest(base, base_container="(block container)")
    assert on_base(load_module(project, "web"), base).requires == ()


@pytest.mark.parametrize(
    "text", ["(block container\n(type process)", "(block container))", "\n(block a) \xff"]
)
def test_a_template_of_the_guest_that_is_no_cil_is_named(
    project: Project, base: BasePolicy, text: str
) -> None:
    of_guest(base)
    (base.directory / "templates/base_container.cil").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="^The guest's template 'base_container' ") as caught:
        web(project, base)
    assert caught.value.detail.startswith("/usr/share/udica/templates/base_container.cil:")


def test_a_template_that_is_no_cil_hinders_no_policy_that_does_without(
    project: Project, base: BasePolicy
) -> None:
    of_guest(base, broken="(block", base_container="(block container (type process))")
    assert used(web(project, base, "(block web (blockinherit container))")).keys() == {"base_container"}


def test_it_is_said_where_templates_come_from(project: Project, base: BasePolicy) -> None:
    of_guest(base, base_container="(block container (type process))")
    of_project(project, log_container="(block log_container)")
    module = web(
        project, base, WEB.replace("(blockinherit log", "(blockinherit tty_container) (blockinherit log")
    )
    assert sources_of_templates(module) == (
        "The policy inherits templates of the guest: base_container.",
        "The policy inherits templates of the project: log_container.",
        "The policy inherits selab's own templates: tty_container. udica's grant other things.",
    )


def test_nothing_is_said_of_a_policy_without_templates(project: Project, base: BasePolicy) -> None:
    assert sources_of_templates(web(project, base, "(block web (type process))")) == ()


def test_one_template_of_each_name_is_offered(project: Project, base: BasePolicy) -> None:
    of_guest(base, base_container="(block container)", extra="(block extra)")
    names = [each.name for each in all_on_base(all_templates(project), base)]
    assert len(names) == len({*names}) and {"extra", "net_container"} <= {*names}


def test_the_blocks_of_templates_are_those_that_a_policy_can_inherit(
    project: Project, base: BasePolicy
) -> None:
    of_guest(base, guest="(block guest (block inner)) (macro m ())")
    of_project(project, own="(block own)")
    without = template_blocks(project, None)
    assert {"own", "container", "x_container"} <= without and "inner" not in without
    assert template_blocks(project, base) == without | {"guest"}


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos", denies=False, templates=True)


def test_a_templates_path_is_the_guests(centos: BasePolicy) -> None:
    assert [str(each.path) for each in guest_templates(centos)] == [
        "/usr/share/udica/templates/base_container.cil",
        "/usr/share/udica/templates/log_container.cil",
    ]


@pytest.mark.toolchain
def test_a_policy_gets_what_the_guests_templates_grant(
    project: Project, centos: BasePolicy, tmp_path: Path
) -> None:
    tools = Toolchain(LocalHost(), str(tmp_path / "work"))
    cil = compiled_all([web(project, centos)], centos, tools, project.own_directory("compiled"))[-1].cil
    assert "(allow web.process container_file_t (dir (search read)))" in cil
    assert "newer_log_t" not in cil


@pytest.mark.toolchain
def test_a_template_that_does_not_resolve_on_its_base_policy_is_named_by_the_guests_path(
    project: Project, centos: BasePolicy, tmp_path: Path
) -> None:
    path = centos.directory / "templates/log_container.cil"
    path.write_text(path.read_text().replace("(allow process logfile", "(allow process lost_t"))
    tools = Toolchain(LocalHost(), str(tmp_path / "work"))
    with pytest.raises(InputError) as caught:
        compiled_all([web(project, centos)], centos, tools, project.own_directory("compiled"))
    assert caught.value.what == "The guest's template 'log_container' does not compile."
    place = "/usr/share/udica/templates/log_container.cil:6: 'lost_t' is not declared"
    assert caught.value.detail.startswith(place)
