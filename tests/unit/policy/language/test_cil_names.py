"""The names in CIL: declared ones, and those that statements refer to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.cil_names import outwards, placed, references, united, vocabulary
from selab.policy.language.cil_source import SyntaxFault, parse

WORDS = st.sampled_from(
    ["macro", "call", "allow", "typetransition", "block", "in", "a.b", '"x"', "booleanif", "true", "class"]
)
WRITTEN = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"({' '.join(parts)})"), max_leaves=25
)


def test_a_statement_knows_what_it_is_in() -> None:
    text = "(block a (blockabstract a) (macro m ((type t)) (optional o (allow t t (file (read))))))"
    rule = next(each for each in placed(parse(text)) if each.statement.keyword == "allow")
    assert [each.keyword for each in rule.inside] == ["block", "macro", "optional"]
    assert (rule.scope, rule.patterns, rule.parameters) == (("a", "m"), ("a", "m"), {"t"})


def test_statements_come_in_the_order_of_the_text() -> None:
    text = "(type a) (block b (type c) (optional o (type d)) (type e)) (type f)"
    names = [each.statement.name for each in placed(parse(text)) if each.statement.keyword == "type"]
    assert names == ["a", "c", "d", "e", "f"]


def test_the_parameters_of_a_macro_and_permissions_of_a_rule_are_no_statements() -> None:
    text = "(macro m ((type t)) (allow t t (file (read)))) (class file (read))"
    assert [each.statement.keyword for each in placed(parse(text))] == ["macro", "allow", "class"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("(allow a b (file (read)))", "type a, type b, class file, permission read"),
        ("(allow a self p)", "type a, class permission p"),
        ('(typetransition a b file "name" c)', "type a, type b, class file, type c"),
        ("(typetransition a b file c)", "type a, type b, class file, type c"),
        ("(roletransition r a process s)", "role r, type a, class process, role s"),
        ("(rangetransition a b process ((s0) (s0)))", "type a, type b, class process"),
        ("(typeattributeset a (and (b) (not (c))))", "type a, type b, type c"),
        ("(typeattributeset a b)", "type a, type b"),
        ("(booleanif (and x y) (true (allow a b (file (read)))))", "boolean x, boolean y"),
        ("(in before b.c (type x))", "block, macro or optional b.c"),
        ("(allowx a b (ioctl file ((range 0x1 0x2))))", "type a, type b, class file"),
        ("(filecon \"/x\" file (u r t ((s0) (s0))))", "user u, role r, type t"),
        ("(block b (blockinherit c))", ""),
        ("(unheard of (file (read)))", ""),
    ],
)  # fmt: skip
def test_a_statement_refers_to_names_of_their_kinds(statement: str, expected: str) -> None:
    assert ", ".join(f"{each.kind} {each.name}" for each in references(parse(statement)[0])) == expected


def test_a_class_has_its_own_permissions_and_those_of_its_common() -> None:
    known = vocabulary(parse("(class file (open)) (classcommon file files) (common files (read))"))
    assert known.permissions["file"] == {"open", "read"}


def test_names_in_blocks_are_known_by_their_last_part_and_are_not_global() -> None:
    known = vocabulary(parse("(block b (type t)) (type c.u) (type v)"))
    assert (known.names["type"], known.names["block"]) == ({"t", "u", "v"}, {"b", "c"})
    assert [known.has_global("type", name) for name in ("t", "u", "v")] == [False, False, True]


def test_united_vocabularies_have_the_names_of_each() -> None:
    known = united([vocabulary(parse("(type a) (class c (x))")), vocabulary(parse("(type b) (class c (y))"))])
    assert (known.names["type"], known.permissions["c"]) == ({"a", "b"}, {"x", "y"})


@given(st.lists(WRITTEN, max_size=4))
def test_any_text_in_the_form_of_cil_has_names_or_none(parts: list[str]) -> None:
    try:
        statements = parse(" ".join(parts))
    except SyntaxFault:
        return
    vocabulary(statements)
    for each in placed(statements):
        assert all(reference.name for reference in references(each.statement))


def test_names_are_looked_up_outwards() -> None:
    assert outwards(("a", "b")) == ["a.b.", "a.", ""]
