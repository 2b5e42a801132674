"""CIL as its author wrote it: statements with their lines and places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.cil_source import MAX_DEPTH, Statement, SyntaxFault, parse, walk

TEXT = """; a comment with a (
(block web
    (type process)
    (filecon "/srv(/.*)?" any (system_u object_r web.data ((s0) (s0)))))
(call reads (web.process etc_t))
"""
WRITTEN = st.recursive(
    st.sampled_from(["allow", "a.b", '"x (y"', "; note )\n"]),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"({' '.join(parts)})\n"),
    max_leaves=20,
)


def test_each_statement_has_its_words_and_its_line() -> None:
    assert [(each.line, each.words[:2]) for each in walk(parse(TEXT))] == [
        (2, ("block", "web")),
        (3, ("type", "process")),
        (4, ("filecon", '"/srv(/.*)?"')),
        (4, ("system_u", "object_r")),
        (4, ()),
        (4, ("s0",)),
        (4, ("s0",)),
        (5, ("call", "reads")),
        (5, ("web.process", "etc_t")),
    ]


def test_the_place_of_a_statement_is_its_text() -> None:
    block = parse(TEXT)[0]
    assert [TEXT[each.begin : each.end] for each in block.lists][0] == "(type process)"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("(a\n(b)", 1, "not closed"),
        ("(a)\n)", 2, "closes nothing"),
        ("(a)\n\nb", 3, "outside"),
        ("(a)\n(b\n", 2, "not closed"),
    ],
)
def test_a_fault_has_the_line_where_it_begins(text: str, line: int, problem: str) -> None:
    with pytest.raises(SyntaxFault, match=problem) as fault:
        parse(text)
    assert fault.value.line == line


def test_too_many_open_parentheses_are_refused_with_their_line() -> None:
    nested = "(" * MAX_DEPTH + ")" * MAX_DEPTH
    assert len([*walk(parse(nested))]) == MAX_DEPTH
    with pytest.raises(SyntaxFault, match="parentheses are open") as fault:
        parse(f"\n({nested})")
    assert fault.value.line == 2


@given(st.text(alphabet='()ab \n;".'))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except SyntaxFault:
        return
    assert all(text[each.begin] + text[each.end - 1] == "()" for each in walk(tree))


@given(st.lists(WRITTEN.filter(lambda text: text.startswith("(")), max_size=4).map("".join))
def test_a_statement_lies_in_the_one_that_contains_it(text: str) -> None:
    def inside(outer: Statement) -> bool:
        return all(outer.begin < each.begin < each.end < outer.end and inside(each) for each in outer.lists)

    assert all(inside(each) for each in parse(text))
