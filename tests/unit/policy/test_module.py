"""A candidate's files and its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.policy.language.cil_source import parse
from selab.policy.module import OWN_TEMPLATES, PolicyModule, load_module
from selab.project import Project, find_project


def test_the_digest_changes_with_every_source(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    before = load_module(project, "web").digest
    (project.policies / "web.fc").write_text("")
    assert load_module(project, "web").digest != before


def test_the_digest_of_all_changes_with_what_the_module_requires() -> None:
    box = PolicyModule("box", Path(), {"cil": b"(block box)"}, is_template=True)
    other = PolicyModule("db", Path(), {"te": b"x"})
    web = PolicyModule("web", Path(), {"te": b"y"}, (box, other))
    variants = [
        web,
        replace(web, texts={"te": b"z"}),
        replace(web, requires=(box,)),
        replace(web, requires=(replace(box, is_template=False), other)),
        replace(web, requires=(box, replace(other, name="mail"))),
    ]
    assert len({each.digest_of_all for each in variants}) == len(variants)
    assert replace(web, requires=(other, box)).digest_of_all == web.digest_of_all


def test_a_path_is_no_policy_name(project: Project) -> None:
    (project.root / "x.te").write_text("policy_module(x, 1.0)\n")
    with pytest.raises(InputError, match="There is no policy"):
        load_module(project, "../x")


def test_a_policy_may_be_written_in_cil(project: Project) -> None:
    (project.policies / "web.cil").write_text("(type web_t)")
    module = load_module(project, "web")
    assert (module.language, module.path, module.texts) == (
        "cil",
        project.policies / "web.cil",
        {"cil": b"(type web_t)"},
    )


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("(block web (type process))", "web.process"),
        ("(block web (blockinherit container))", "web.process"),
        ("(block web (type data))", "web_t"),
        ("(block other (type process))", "web_t"),
        ("(type web_t)", "web_t"),
        ("(type process)", "web_t"),
        ("(block web (type process)", "web_t"),
    ],
)
def test_the_domain_is_the_process_of_the_policys_block(project: Project, text: str, domain: str) -> None:
    (project.policies / "web.cil").write_text(text)
    assert load_module(project, "web").domain == domain


def test_the_domain_of_a_te_has_the_modules_name(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n# (block web (type process))")
    assert load_module(project, "web").domain == "web_t"


def templates(project: Project, **files: str) -> None:
    project.templates.mkdir()
    for name, text in files.items():
        (project.templates / f"{name}.cil").write_text(text)


def required_by(project: Project, text: str) -> list[str]:
    (project.policies / "web.cil").write_text(text)
    return [each.name for each in load_module(project, "web").requires]


def test_templates_are_required_for_the_blocks_that_a_policy_inherits(project: Project) -> None:
    templates(project, base="(block box (blockabstract box))", net="(block net)", other="(block other)")
    assert required_by(project, "(block web (blockinherit box) (blockinherit net))") == ["base", "net"]


def test_a_template_replaces_no_module_of_the_base_policy(project: Project) -> None:
    templates(project, base="(block box (blockabstract box))")
    required_by(project, "(block web (blockinherit box))")
    assert load_module(project, "web").replaced == ("web",)


def test_a_template_may_inherit_from_another(project: Project) -> None:
    templates(project, a="(block outer (blockinherit inner))", b="(block inner)", c="(block other)")
    assert required_by(project, "(block web (blockinherit outer))") == ["b", "a"]


def test_a_macro_of_a_templates_block_requires_the_template(project: Project) -> None:
    templates(project, lib="(block lib (macro reads ((type d))))")
    assert required_by(project, "(block web (type process) (call lib.reads (process)))") == ["lib"]


def test_a_block_of_the_policy_itself_needs_no_template(project: Project) -> None:
    templates(project, base="(block box (blockabstract box))")
    assert required_by(project, "(block box) (block web (blockinherit box))") == []


def test_a_template_that_leads_out_of_the_project_is_refused(project: Project, tmp_path: Path) -> None:
    project.templates.mkdir()
    outside = tmp_path.parent / f"{tmp_path.name}-outside.cil"
    outside.write_text("(block box)")
    (project.templates / "base.cil").symlink_to(outside)
    with pytest.raises(InputError):
        required_by(project, "(block web (blockinherit box))")


OWN = {path.name: path.read_text() for path in OWN_TEMPLATES.glob("*.cil")}
OWN_BLOCKS = {each.name for text in OWN.values() for each in parse(text)}
WITH_LEVELS = ("log", "home", "tmp", "config")


def test_selab_has_a_template_for_each_of_udicas_blocks() -> None:
    levels = [f"{name}{level}_container" for name in WITH_LEVELS for level in ("", "_rw", "_manage")]
    others = ["container", "net_container", "restricted_net_container"]
    others += ["x_container", "tty_container", "virt_container"]
    assert {*levels, *others} == OWN_BLOCKS


COMMON = {"system_r", "domain", "file_type", "container_domain", "mcs_constrained_type", "self", *OWN_BLOCKS}
"""What every base policy with containers has."""


@pytest.mark.parametrize("name", OWN)
def test_a_template_uses_what_only_some_base_policies_have_in_optionals(name: str) -> None:
    blocks = parse(OWN[name])
    outside = [each for block in blocks for each in block.lists if each.keyword != "optional"]
    declared = {each.name for each in outside if each.keyword.startswith("type")}
    inherited = {each.name for block in parse(OWN["base_container.cil"]) for each in block.lists}
    # The words of a rule are its types; its class and permissions are in a list.
    words = {word for each in outside for word in each.words[1:]}
    assert words - declared - inherited <= COMMON


def test_selabs_own_template_is_required_for_a_block_that_the_project_lacks(project: Project) -> None:
    text = "(block web (blockinherit container) (blockinherit log_container))"
    assert required_by(project, text) == ["base_container", "log_container"]
    assert {each.directory for each in load_module(project, "web").templates} == {OWN_TEMPLATES}


def test_a_template_of_the_project_comes_before_selabs_of_the_same_name(project: Project) -> None:
    templates(project, base_container="(block container (type process) (type mine))")
    required_by(project, "(block web (blockinherit container))")
    module = load_module(project, "web")
    assert [each.directory for each in module.templates] == [project.templates]


def test_a_template_comes_after_those_that_it_inherits_from(project: Project) -> None:
    templates(project, a="(block a (blockinherit c))", b="(block b (blockinherit a))", c="(block c)")
    assert required_by(project, "(block web (blockinherit b) (blockinherit a))") == ["c", "a", "b"]


def test_templates_that_inherit_from_each_other_are_all_required(project: Project) -> None:
    templates(project, a="(block a (blockinherit b))", b="(block b (blockinherit a))")
    assert sorted(required_by(project, "(block web (blockinherit a))")) == ["a", "b"]


def test_a_file_of_the_project_hides_every_block_of_selabs(project: Project) -> None:
    templates(project, net_container="(block net_container)")
    assert required_by(project, "(block web (blockinherit restricted_net_container))") == []


def requiring(project: Project, text: str) -> Project:
    for name in ("web", "common", "lib"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    (project.root / "selab.yaml").write_text(text)
    return find_project(project.root)


def test_what_a_policy_requires_comes_before_it(project: Project) -> None:
    text = "policies:\n  web: {requires: [common]}\n  common: {requires: [lib]}\n"
    assert [each.name for each in load_module(requiring(project, text), "web").all] == [
        "lib",
        "common",
        "web",
    ]


def test_policies_that_require_each_other_are_refused(project: Project) -> None:
    text = "policies:\n  web: {requires: [common]}\n  common: {requires: [web]}\n"
    with pytest.raises(InputError, match="requires 'common': Two policies require each other"):
        load_module(requiring(project, text), "web")


def test_a_required_policy_that_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="requires 'nothing': There is no policy"):
        load_module(requiring(project, "policies: {web: {requires: [nothing]}}\n"), "web")
