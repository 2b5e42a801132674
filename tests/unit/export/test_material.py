"""What the formats are made from: sources below the header, CIL, and the base policy that compiles a .te."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.export.material import Material
from selab.export.proof import Proof
from selab.policy.base import BasePolicy
from selab.policy.module import PolicyModule
from selab.progress import Progress
from selab.project import Project

from .conftest import BOX, CIL, FC, NOW, TE, MaterialOf, cil, passed, te


def test_sources_are_as_written_below_a_comment(proven: MaterialOf) -> None:
    material = proven(te(fc=FC))
    files = {file.path: file.data for file in material.sources()}
    assert files == {"web.te": material.header("#") + TE, "web.fc": material.header("#") + FC}
    assert all(line.startswith(b"# ") for line in material.header("#").splitlines())


def test_a_profile_is_exported_as_its_translation(proven: MaterialOf) -> None:
    module = PolicyModule("web", Path("policies"), {"yaml": b"kind: SelinuxProfile", "cil": CIL})
    assert [file.path for file in proven(module).sources()] == ["web.cil"]


def test_a_policy_in_cil_has_its_templates_and_needs_no_compiler(proven: MaterialOf) -> None:
    material = proven(cil())
    assert {file.path: file.data for file in material.cil()} == {
        "base_container.cil": material.header(";") + BOX,
        "web.cil": material.header(";") + CIL,
    }


@pytest.mark.parametrize("text", [b"(block web", b"(type a))", b"(type \xff)"])
def test_cil_that_cannot_be_read_is_refused_at_its_line(proven: MaterialOf, text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        proven(cil(b"\n" + text)).cil()
    assert "web.cil:2" in caught.value.detail


@pytest.mark.toolchain
def test_a_te_becomes_the_cil_that_its_package_gives(proven: MaterialOf) -> None:
    (file,) = proven(te(fc=FC)).cil()
    text = file.data.decode()
    assert "(allow web_t http_port_t (tcp_socket (name_bind)))\n" in text
    assert '(filecon "/srv/web(/.*)?" any (system_u object_r etc_t ((s0) (s0))))\n' in text


@pytest.mark.parametrize("name", ["x y", "x;reboot", "$(id)", "-r", "x\n", "%{x}", ".."])
def test_a_template_whose_file_name_means_something_to_a_shell_is_refused(
    proven: MaterialOf, name: str
) -> None:
    template = PolicyModule(name, Path("policies/templates"), {"cil": BOX}, is_template=True)
    with pytest.raises(InputError, match="cannot be a module's name"):
        proven(replace(cil(), requires=(template,))).require_names()


def test_the_base_policy_is_that_of_the_run(proven: MaterialOf, centos: BasePolicy) -> None:
    assert proven(te()).base is centos


def test_without_the_base_policy_of_the_run_nothing_else_compiles_the_policy(project: Project) -> None:
    material = Material(project, Proof(te(), passed(te())), Progress(), NOW)
    with pytest.raises(SelabError, match="no longer in the cache"):
        material.cil()


def test_without_a_proof_the_base_policy_is_the_one_that_answers_for_the_candidate(
    project: Project, centos: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = te()
    monkeypatch.setattr(
        "selab.export.material.last_base", lambda _, __, names: {policy.replaced: centos}[names]
    )
    assert Material(project, Proof(policy), Progress(), NOW).base is centos
