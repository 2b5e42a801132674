"""Which interfaces a module may call, and which type a path has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.advice import knowledge as knowing
from selab.advice.knowledge import PolicyKnowledge
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.contexts import FileSpec
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.statements import Grant
from selab.policy.module import PolicyModule, load_module
from selab.project import Project
from tests import centos_like
from tests.unit.advice.conftest import ETC, granting


def callable_with(expert: PolicyKnowledge, **fields: Any) -> bool:
    """Whether an interface that reads etc_t, but for `fields`, is one to call."""
    interface = replace(granting("read_etc", ETC), **fields)
    return "file" in replace(expert, table=InterfaceTable([interface])).granting


def test_an_interface_that_only_grants_may_be_called(expert: PolicyKnowledge) -> None:
    assert callable_with(expert)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "template"},
        {"broken": "m4: ERROR"},
        {"deprecated": "use files_read()"},
        {"declares": (("type", "new_t"),)},
        {"grants": (ETC, Grant("neverallow", "$1", "etc_t", "file", frozenset({"write"})))},
        {"requires": (("type", "absent_t"),)},
        {"requires": (("attribute", "absent"),)},
        {"requires": (("attribute", "etc_t"),)},
    ],
    ids=[
        "template",
        "broken",
        "deprecated",
        "declares a type",
        "neverallow",
        "absent type",
        "absent attribute",
        "type as attribute",
    ],
)
def test_an_interface_that_does_more_or_needs_more_is_not_called(
    expert: PolicyKnowledge, fields: dict[str, Any]
) -> None:
    assert not callable_with(expert, **fields)


@pytest.mark.parametrize(
    "requires", [("type", "etc_t"), ("attribute", "domain"), ("type", "$1_t"), ("class", "file")]
)
def test_what_it_requires_may_be_there_or_depend_on_the_call(
    expert: PolicyKnowledge, requires: tuple[str, str]
) -> None:
    assert callable_with(expert, requires=(requires,))


@pytest.mark.parametrize("kind", ["dontaudit", "auditallow"])
def test_a_rule_that_grants_nothing_is_not_an_offer(expert: PolicyKnowledge, kind: str) -> None:
    assert not callable_with(expert, grants=(replace(ETC, kind=kind),))


def test_a_conditional_rule_is_not_an_offer(expert: PolicyKnowledge) -> None:
    assert not callable_with(expert, grants=(replace(ETC, condition="may_read_homes"),))


@pytest.mark.parametrize(
    ("path", "type_"),
    [("/srv/a", "etc_t"), ("/srv/www/a", "content_t"), ("/srvx", ""), ("/elsewhere", "")],
)
def test_the_last_file_context_that_matches_applies(expert: PolicyKnowledge, path: str, type_: str) -> None:
    assert expert.file_type(path) == type_


def test_a_path_that_has_no_label_on_purpose_has_no_type(expert: PolicyKnowledge) -> None:
    specs = (*expert.specs, FileSpec("/srv/raw", "", "<<none>>"))
    assert replace(expert, specs=specs).file_type("/srv/raw") == ""


def test_a_path_below_an_equivalence_has_the_type_of_the_path_that_is_looked_up(
    expert: PolicyKnowledge,
) -> None:
    specs = (FileSpec("/run/.*", "", "u:r:wrong_t:s0"), FileSpec("/var/run/.*", "", "u:r:right_t:s0"))
    knowledge = replace(expert, specs=specs, equivalent=(("/run", "/var/run"),))
    assert knowledge.file_type("/run/web") == "right_t"


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("(block web (blockinherit container)) (macro reads ((type d)) (allow d etc_t (file (read))))",
         {"call reads", "blockinherit log_container"}),
        ("(type web_t)", set()),
    ],
)  # fmt: skip
def test_a_candidate_in_cil_has_macros_and_blocks_in_place_of_interfaces(
    text: str, offered: set[str], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowing, "interface_table", lambda base: pytest.fail("it has no interfaces"))
    (project.policies / "web.cil").write_text(text)
    web = CompiledModule("web", "(type web.process)", frozenset(), load_module(project, "web"))
    base = centos_like.write_base(tmp_path / "base")
    names = PolicyKnowledge.of(base, [web], project).table.names
    assert set(names) >= offered and bool(names) is bool(offered)


def test_other_candidates_have_interfaces(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = InterfaceTable([granting("read_etc", ETC)])
    monkeypatch.setattr(knowing, "interface_table", lambda base: table)
    (project.policies / "lib.cil").write_text("(type lib_t)")
    lib = CompiledModule("lib", "(type lib_t)", frozenset(), load_module(project, "lib"))
    te = PolicyModule("web", tmp_path, {"te": b""})
    web = CompiledModule("web", "(type web_t)", frozenset(), te)
    base = centos_like.write_base(tmp_path / "base")
    assert [PolicyKnowledge.of(base, each, project).table for each in ([], [lib, web])] == [table, table]


def test_the_interfaces_of_another_candidate_may_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = dict[str, str]()

    def own_of(base: BasePolicy, given: Mapping[str, str]) -> tuple[Interface, ...]:
        texts.update(given)
        return (granting("db_connect", ETC),)

    monkeypatch.setattr(knowing, "interface_table", lambda base: InterfaceTable([granting("read_etc", ETC)]))
    monkeypatch.setattr(knowing, "module_interfaces", own_of)
    db = PolicyModule("db", tmp_path, {"te": b"", "if": b"interface(`db_connect',`')"})
    web = PolicyModule("web", tmp_path, {"te": b"", "if": b"interface(`web_connect',`')"})
    candidates = [CompiledModule(each.name, f"(type {each.name}_t)", frozenset(), each) for each in (db, web)]
    knowledge = PolicyKnowledge.of(centos_like.write_base(tmp_path / "base"), candidates)
    assert (knowledge.table.names, texts) == (
        ("read_etc", "db_connect"),
        {"db.if": "interface(`db_connect',`')"},
    )
