"""A module as it is on a base policy: the rules of a UdicaPolicy, also of one that the module requires."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.compile import link
from selab.policy.module import GUEST_TEMPLATES, load_module
from selab.policy.on_base import needs_base, on_base
from selab.policy.toolchain import Toolchain
from selab.project import Project, find_project
from tests import centos_like

WEB = "kind: UdicaPolicy\nports: [{port: 80}]\nmounts: [{path: /var/www, access: rw}]\n"


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos", denies=False, templates=True)


def test_a_udica_policy_gets_the_types_of_the_base_policy(project: Project, centos: BasePolicy) -> None:
    (project.policies / "web.yaml").write_text(WEB)
    before = load_module(project, "web")
    module = on_base(before, centos)
    assert b"http_port_t" in module.texts["cil"] and b"http_port_t" not in before.texts["cil"]
    assert module.texts["yaml"] == WEB.encode() and module.digest_of_all != before.digest_of_all
    assert GUEST_TEMPLATES in {each.directory for each in module.templates}


def test_one_that_the_module_requires_gets_them_too(project: Project, centos: BasePolicy) -> None:
    (project.root / "selab.yaml").write_text("policies: {app: {requires: [web]}}\n")
    (project.policies / "web.yaml").write_text(WEB)
    (project.policies / "app.cil").write_text("(block app (blockinherit web))")
    module = load_module(find_project(project.root), "app")
    texts = {each.name: each.texts["cil"] for each in on_base(module, centos).all}
    assert needs_base(module) and b"http_port_t" in texts["web"] and b"http_port_t" not in texts["app"]


def test_other_policies_are_as_they_were(project: Project, centos: BasePolicy) -> None:
    (project.policies / "web.cil").write_text("(block web (type process))")
    module = load_module(project, "web")
    assert not needs_base(module) and on_base(module, centos).texts == module.texts


def test_a_path_without_a_context_is_wrong_input(project: Project, centos: BasePolicy) -> None:
    (centos.directory / "contexts/files/file_contexts").write_text("")
    (project.policies / "web.yaml").write_text(WEB)
    with pytest.raises(InputError, match="no context for '/var/www'") as caught:
        on_base(load_module(project, "web"), centos)
    assert caught.value.detail == f"{project.policies / 'web.yaml'}:3"


@pytest.mark.toolchain
def test_a_udica_policy_compiles_and_links(project: Project, centos: BasePolicy, tmp_path: Path) -> None:
    tools = Toolchain(LocalHost(), str(project.own_directory("policy")))
    (project.policies / "web.yaml").write_text("kind: UdicaPolicy\ncapabilities: [CAP_SETUID]\n")
    module = on_base(load_module(project, "web"), centos)
    modules = compiled_all([module], centos, tools, project.own_directory("compiled"))
    assert "(allow web.process web.process (capability (setuid)))" in modules[-1].cil
    assert link(centos, modules, tools).slow_because == ""


@pytest.mark.toolchain
def test_a_name_that_the_base_policy_lacks_is_reported_at_its_line(
    project: Project, centos: BasePolicy
) -> None:
    tools = Toolchain(LocalHost(), str(project.own_directory("policy")))
    (project.policies / "web.yaml").write_text("kind: UdicaPolicy\n\nstream_connect: other\n")
    module = on_base(load_module(project, "web"), centos)
    with pytest.raises(InputError) as caught:
        compiled_all([module], centos, tools, project.own_directory("compiled"))
    assert caught.value.detail.startswith(f"{project.policies / 'web.yaml'}:3: 'other.process'")
