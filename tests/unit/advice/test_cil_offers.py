"""Which macros and blocks of CIL are offered to a candidate, and from which files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from selab.advice.cil_offers import MAX_INHERITED, offers
from selab.host.local import LocalHost
from selab.policy.candidate import compiled_all
from selab.policy.interfaces import Interface
from selab.policy.language.cil import Rule
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.module import PolicyModule, all_templates, load_module
from selab.policy.query.index import PolicyIndex
from selab.policy.toolchain import Toolchain
from selab.project import Project
from tests import centos_like
from tests.unit.advice.conftest import BASE

DECLARED = "(type web.process)(type web.data)(typeattributeset domain (web.process))"
WEB = "(block web (type process) (type data))"
MACRO = "(macro reads ((type d)) (allow d etc_t (file (read))))"
LOGS = "(block logs (blockabstract logs) (allow process etc_t (file (read))))"


def index() -> PolicyIndex:
    base = read_flat(BASE)
    return PolicyIndex(base, read_candidates([DECLARED], base))


def module(name: str, text: str, *requires: PolicyModule, template: bool = False) -> PolicyModule:
    return PolicyModule(name, Path("/p"), {"cil": text.encode()}, requires, template)


def offered(text: str, *templates: PolicyModule, requires: tuple[PolicyModule, ...] = ()) -> list[Interface]:
    return [*offers(module("web", text, *requires), templates, index())]


def names(text: str, *templates: PolicyModule, requires: tuple[PolicyModule, ...] = ()) -> list[str]:
    return [each.name for each in offered(text, *templates, requires=requires)]


def test_a_macro_of_the_candidate_is_offered_with_its_parameters_and_file() -> None:
    (macro,) = offered(WEB + "\n" + MACRO)
    assert (macro.name, macro.kind, macro.required, macro.summary, macro.line) == (
        "call reads", "macro", 1, "a macro of web.cil", 2,
    )  # fmt: skip


def test_a_macro_in_a_block_has_the_name_of_the_block() -> None:
    assert names(f"{WEB}(block a (block b {MACRO}))") == ["call a.b.reads"]


def test_a_macro_that_the_candidates_block_hides_is_not_offered() -> None:
    assert names(f"(block web (type process) {MACRO}){MACRO}") == ["call web.reads"]


@pytest.mark.parametrize("text", ["(in web {})", "(optional o {})"])
def test_a_macro_in_something_else_than_a_block_is_not_offered(text: str) -> None:
    assert names(WEB + text.format(MACRO)) == []


@pytest.mark.parametrize("count", [0, 10])
def test_a_macro_has_as_many_parameters_as_an_interface(count: int) -> None:
    declared = " ".join(f"(type t{number})" for number in range(count))
    assert names(f"{WEB}(macro m ({declared}) (allow web.process etc_t (file (read))))") == []


def test_macros_of_a_required_policy_are_offered() -> None:
    assert names(WEB, requires=(module("lib", MACRO),)) == ["call reads"]


def test_macros_outside_of_blocks_are_offered_of_templates_in_use_only() -> None:
    assert names(WEB, module("lib", MACRO)) == []
    used = module("lib", MACRO, template=True)
    assert names(WEB, used, requires=(used,)) == ["call reads"]


def test_macros_in_blocks_are_offered_of_all_templates() -> None:
    assert names(WEB, module("lib", f"(block lib (blockabstract lib) {MACRO})")) == [
        "call lib.reads",
        "blockinherit lib",
    ]


def test_what_a_candidate_declares_replaces_what_a_template_declares() -> None:
    (macro,) = (
        each
        for each in offered(f"{WEB}(block lib {MACRO})", module("lib", f"(block lib {MACRO})"))
        if each.kind == "macro"
    )
    assert macro.file == "web.cil"


def test_an_abstract_block_is_offered_to_the_domain_of_the_candidates_block() -> None:
    (block,) = offered(WEB, module("logs", LOGS))
    assert (block.name, block.kind, block.parameters) == ("blockinherit logs", "block", ("web.process",))


@pytest.mark.parametrize(
    "text",
    ["(type web_t)", "(block other (type process))", "(block web (type data))"],
    ids=["no block", "another block", "a block without processes"],
)
def test_no_block_is_offered_to_a_candidate_without_a_block_of_its_own(text: str) -> None:
    assert names(text, module("logs", LOGS)) == []


def test_a_block_that_is_not_abstract_is_not_offered() -> None:
    assert names(WEB, module("logs", "(block logs (allow process etc_t (file (read))))")) == []


def test_a_block_that_the_candidate_inherits_is_not_offered_again() -> None:
    more = module("more", "(block more (blockabstract more) (blockinherit logs))")
    templates = (more, module("logs", LOGS))
    assert names("(block web (type process) (blockinherit more))", *templates) == []
    assert names("(block web (type process) (blockinherit logs))", *templates) == ["blockinherit more"]


def test_a_block_is_offered_without_what_the_candidate_inherits_already() -> None:
    more = module("more", "(block more (blockabstract more) (blockinherit logs))")
    (block,) = offered("(block web (type process) (blockinherit logs))", more, module("logs", LOGS))
    assert block.grants == ()


def test_a_block_is_offered_with_what_it_inherits() -> None:
    more = module("more", "(block more (blockabstract more) (blockinherit logs))")
    blocks = {each.name: each.grants for each in offered(WEB, more, module("logs", LOGS))}
    assert blocks["blockinherit more"] == blocks["blockinherit logs"] != ()


@pytest.mark.parametrize(
    "inherited",
    ["absent", "web", "logs0"],
    ids=["a block that is unknown", "the candidate's own block", "too many blocks"],
)
def test_a_block_whose_inheritance_is_not_read_is_not_offered(inherited: str) -> None:
    chain = "".join(
        f"(block logs{number} (blockinherit logs{number + 1}))" for number in range(MAX_INHERITED)
    )
    last = f"(block logs{MAX_INHERITED} (type data))"
    text = f"{chain}{last}(block logs (blockabstract logs) (blockinherit {inherited}))"
    assert names(WEB, module("logs", text)) == []


def test_a_block_in_a_block_is_inherited_by_the_name_that_is_nearest() -> None:
    more = "(block more (blockabstract more) (blockinherit logs))"
    inner = f"(block lib (block logs (allow process etc_t (file (open)))) {more})"
    blocks = {each.name: each.grants for each in offered(WEB, module("logs", LOGS), module("lib", inner))}
    assert [grant.permissions for grant in blocks["blockinherit lib.more"]] == [frozenset({"open"})]


def test_a_profile_is_offered_nothing() -> None:
    profile = PolicyModule("web", Path("/p"), {"yaml": b"", "cil": (WEB + MACRO).encode()})
    assert [*offers(profile, [module("logs", LOGS)], index())] == []


def test_a_required_te_offers_nothing() -> None:
    te = PolicyModule("lib", Path("/p"), {"te": b"policy_module(lib, 1.0)\n"})
    assert names(WEB, requires=(te,)) == []


@pytest.mark.toolchain
def test_what_is_read_of_selabs_blocks_is_what_the_compiler_makes_of_them(
    project: Project, tmp_path: Path
) -> None:
    base, tools = centos_like.write_base(tmp_path / "base"), Toolchain(LocalHost(), str(tmp_path / "work"))

    def of_candidate(more: str) -> tuple[PolicyModule, PolicyIndex]:
        (project.policies / "web.cil").write_text(f"(block web (blockinherit container) {more})")
        web = load_module(project, "web")
        return web, PolicyIndex.of(base, compiled_all([web], base, tools, tmp_path))

    web, alone = of_candidate("")
    before = accesses(alone, alone.rules_of("web.process"))
    read, compiled = {}, {}
    for block in offers(web, all_templates(project), alone):
        own = (replace(each, source="web.process") for each in block.grants if each.source == "$1")
        read[block.name] = accesses(alone, own) - before
        _, index = of_candidate(f"({block.name})")
        compiled[block.name] = accesses(index, index.rules_of("web.process")) - before
    assert len(read) > 10 and any(read.values())
    assert read == compiled


def accesses(index: PolicyIndex, rules: Iterable[Rule | Grant]) -> set[tuple[str, str, str]]:
    """What unconditional rules of the web's processes grant: targets, classes and permissions."""
    return {
        (target, rule.tclass, permission)
        for rule in rules
        if not rule.condition
        for target in ({"web.process"} if rule.target in ("self", "$1") else index.members(rule.target))
        for permission in rule.permissions
    }
