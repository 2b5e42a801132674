"""S-expressions, and the expressions in them."""

from __future__ import annotations

import pytest

from selab.errors import SelabError
from selab.policy.language.cil import Node, holds, members, names_in, statements, summary, text_of

EVERYTHING = frozenset({"a", "b", "c"})


def parsed(text: str) -> Node:
    (node,) = statements(text)
    return node


def test_brackets_and_semicolons_in_a_string_are_text() -> None:
    assert statements('(filecon "/a(/.*)?;x" file) (type a)') == [
        ["filecon", '"/a(/.*)?;x"', "file"],
        ["type", "a"],
    ]


def test_a_comment_ends_with_its_line() -> None:
    assert statements("(type a) ; (type b)\n(type c)") == [["type", "a"], ["type", "c"]]


@pytest.mark.parametrize(
    ("text", "detail"),
    [("(type a))", "unmatched closing parenthesis"), ("(type (a)", "A parenthesis is not closed.")],
)
def test_parentheses_that_do_not_match_are_an_error(text: str, detail: str) -> None:
    with pytest.raises(SelabError, match="cannot be read") as caught:
        statements(text)
    assert detail in caught.value.detail


def test_an_expression_is_written_as_it_was_read() -> None:
    text = '(a (b "c d") () e)'
    assert text_of(parsed(text)) == text


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("(a b)", "ab"),
        ("(or (a) (b))", "ab"),
        ("(and (a b) (b c))", "b"),
        ("(and (a b c) (not (a)))", "bc"),
        ("(not (a))", "bc"),
        ("(xor (a b) (b c))", "ac"),
        ("(all)", "abc"),
        ("(not (all))", ""),
        ("()", ""),
    ],
)
def test_an_expression_is_evaluated_to_a_set(expression: str, names: str) -> None:
    assert members(parsed(expression), EVERYTHING, lambda name: frozenset({name})) == set(names)


def test_a_name_stands_for_the_set_that_it_names() -> None:
    sets = {"ab": frozenset("ab"), "c": frozenset("c")}
    assert members(parsed("(not (ab))"), EVERYTHING, sets.__getitem__) == {"c"}


def test_the_names_of_an_expression_do_not_include_its_operators() -> None:
    assert names_in(parsed("(and (a) (not (or (b) (eq c d))))")) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("(a)", "a"),
        ("(not (a))", "not a"),
        ("(not (or (a) (b)))", "not (a or b)"),
        ("(and (a) (not (or (b) (c))))", "a and not (b or c)"),
        ("(and (or (a) (b)) (c))", "(a or b) and c"),
        ("(eq (a) (b))", "a == b"),
        ("(neq (a) (b))", "a != b"),
    ],
)
def test_a_boolean_expression_is_readable_and_keeps_its_meaning(expression: str, text: str) -> None:
    assert summary(parsed(expression)) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(on)", True),
        ("(off)", False),
        ("(unknown)", False),
        ("(not (off))", True),
        ("(not (not (off)))", False),
        ("(and (on) (off))", False),
        ("(and (on) (not (off)))", True),
        ("(or (off) (on))", True),
        ("(or (off) (and (on) (off)))", False),
        ("(not (or (off) (on)))", False),
        ("(xor (on) (on))", False),
        ("(xor (on) (off))", True),
        ("(eq (off) (not (on)))", True),
        ("(eq (not (on)) (on))", False),
        ("(neq (on) (off))", True),
        ("(neq (on) (on))", False),
    ],
)
def test_a_condition_holds_by_the_values_of_its_booleans(expression: str, value: bool) -> None:
    text = summary(statements(expression)[0])
    assert holds(text, {"on": True, "off": False}) is value
