"""What a name refers to that secil2tree printed as it was written."""

from __future__ import annotations

import pytest

from selab.policy.language.cil_scope import Macro, Names, Scope, words_of
from selab.policy.language.cil_tree import names_in, plain_statements

DECLARED = {"x", "y", "web.x", "web.inner.x", "lib.y", "lib.z"}
JOINS = Macro(("lib",), ("member", "group"))
NAMES = Names(DECLARED, {"lib": [()], "box": [("lib",)], "web": [()]}, {"joins": [JOINS]})


@pytest.mark.parametrize(
    ("path", "name", "qualified"),
    [
        ((), "x", "x"),
        (("web",), "x", "web.x"),
        (("web", "inner"), "x", "web.inner.x"),
        (("web", "other"), "x", "web.x"),
        (("lib",), "x", "x"),
        (("web",), "inner.x", "web.inner.x"),
        (("web",), "missing", "missing"),
        (("web",), ".x", "x"),
    ],
)
def test_a_name_is_looked_up_from_the_innermost_block_on(
    path: tuple[str, ...], name: str, qualified: str
) -> None:
    assert Scope(NAMES, path).qualified(name) == qualified


def test_what_is_inherited_is_looked_up_around_the_heir_and_then_around_its_origin() -> None:
    scope = Scope(NAMES, ("web",)).inherited("box")
    assert [scope.qualified(name) for name in "xz"] == ["web.x", "lib.z"]


def test_a_parameter_stands_for_the_argument_of_the_call() -> None:
    scope = Scope(NAMES, ("lib", "inner")).called("(call joins (web.p web.x)")
    assert [scope.qualified(name) for name in ("member", "group")] == ["web.p", "web.x"]


def test_what_a_call_stands_for_is_looked_up_around_the_macro_and_then_around_the_call() -> None:
    scope = Scope(NAMES, ("web",)).called("(call joins (a b)")
    assert [scope.qualified(name) for name in "yzx"] == ["lib.y", "lib.z", "web.x"]


def test_a_parameter_without_an_argument_stays_as_it_is() -> None:
    assert Scope(NAMES).called("(call joins (a)").qualified("group") == "group"


def test_if_several_macros_of_a_name_differ_in_a_name_it_stays_as_it_is() -> None:
    names = Names(DECLARED, {}, {"joins": [JOINS, Macro((), ("other",))]})
    scope = Scope(names, ("web",)).called("(call joins (a b)")
    assert [scope.qualified(name) for name in ("member", "x", "z")] == ["member", "web.x", "z"]


def test_if_several_blocks_of_a_name_differ_in_a_name_it_stays_as_it_is() -> None:
    names = Names(DECLARED, {"box": [("lib",), ()]}, {})
    assert [Scope(names, ("web",)).inherited("box").qualified(name) for name in "xz"] == ["web.x", "z"]


@pytest.mark.parametrize(
    ("text", "qualified"),
    [
        ("(typeattributeset x (and (x) (not (y))))", "(typeattributeset web.x (and (x) (not (y))))"),
        ("(typebounds x y)", "(typebounds web.x y)"),
        ("(typealiasactual y x)", "(typealiasactual y web.x)"),
        ("(allow x x (file (read)))", "(allow x x (file (read)))"),
        ("(typeattributeset)", "(typeattributeset)"),
        ("(userlevel x (s0))", "(userlevel web.x (s0))"),
    ],
)
def test_only_words_that_are_printed_as_written_are_qualified(text: str, qualified: str) -> None:
    assert Scope(NAMES, ("web",)).statement(text) == qualified


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(call m (a b)", ["call", "m", "a", "b"]),
        ("(call m (a (and b c) d)", ["call", "m", "a", "()", "d"]),
        ("(block web", ["block", "web"]),
    ],
)
def test_an_argument_that_is_a_list_is_one_word(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_the_names_of_the_whole_tree_count_for_a_section_of_it() -> None:
    section = ["(block web", "    (typeattributeset group (web.p))"]
    whole = ["(block web", "    (typeattribute web.group)", *section]
    assert [*plain_statements(section, names_in(whole))] == ["(typeattributeset web.group (web.p))"]


def test_a_macros_parameters_are_those_of_its_definition() -> None:
    tree = """\
(block lib
    (macro joins ((type member)(type group))
        (typeattributeset group (member))
    )
)
(call joins (a b)
    (typeattributeset group (a))
)
"""
    assert [*plain_statements(tree.splitlines())] == ["(typeattributeset b (a))"]
