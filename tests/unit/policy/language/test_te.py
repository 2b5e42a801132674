"""A .te as text: its calls, statements and blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.te import Block, Call, Statement, items, tokens, walk

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PIECES = st.sampled_from(
    [
        *"`'(){};,~*",
        "if",
        "else",
        "optional",
        "require",
        "optional_policy",
        "gen_require",
        "allow",
        "a_t",
        "dnl x\n",
        "# '(\n",
    ]
)


def called(text: str) -> list[tuple[str, int, list[str]]]:
    parsed = [item for item in walk(items(tokens(text))) if isinstance(item, Call)]
    return [
        (call.name, call.line, [" ".join(token.text for token in argument) for argument in call.arguments])
        for call in parsed
    ]


@given(st.lists(PIECES, max_size=40))
def test_any_text_is_read(pieces: list[str]) -> None:
    assert len(list(walk(items(tokens(" ".join(pieces)))))) <= len(pieces)


def test_brackets_without_end_are_read() -> None:
    assert len(list(walk(items(tokens("optional_policy(`" * 3000))))) < 3000


@given(WORDS, st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_call_has_the_arguments_that_it_was_written_with(name: str, arguments: list[list[str]]) -> None:
    written = [" ".join(words) for words in arguments]
    assert called(f"x_{name}({', '.join(written)})") == [(f"x_{name}", 1, written)]


def test_a_comment_may_hold_quotes_and_brackets() -> None:
    assert called("f(a) # it's a call: g(b\nh(c) dnl `\ni(d)") == [
        ("f", 1, ["a"]),
        ("h", 2, ["c"]),
        ("i", 3, ["d"]),
    ]


def test_what_is_quoted_is_one_argument() -> None:
    assert called("f(`a, (b', c)") == [("f", 1, ["a , ( b", "c"])]


def test_nested_parentheses_do_not_split_an_argument() -> None:
    assert called("f(g(a, b), c)") == [("f", 1, ["g ( a , b )", "c"])]


def test_a_call_without_arguments_has_none() -> None:
    assert called("f()") == [("f", 1, [])]


def test_calls_in_blocks_know_the_blocks_around_them() -> None:
    parsed = items(tokens("optional_policy(`\n\ttunable_policy(`x && y',`\n\t\tf(a)\n\t')\n')"))
    call = next(item for item in walk(parsed) if isinstance(item, Call))
    assert (call.line, call.inside) == (3, ("optional_policy", "tunable_policy"))


def test_both_branches_of_a_block_are_read() -> None:
    assert [name for name, _, _ in called("ifdef(`x',`f(a)',`g(b)')")] == ["f", "g"]


def test_a_block_says_what_it_hangs_on() -> None:
    (block,) = items(tokens("tunable_policy(`x && y',`f(a)')"))
    assert isinstance(block, Block)
    assert [token.text for token in block.head] == ["x", "&&", "y"]


def test_blocks_in_braces_are_read_with_their_else() -> None:
    parsed = list(
        walk(items(tokens("if (x) { allow a b:c d; } else { allow e f:g h; } require { type i; }")))
    )
    statements = [item for item in parsed if isinstance(item, Statement)]
    assert [(statement.words[1].text, statement.inside) for statement in statements] == [
        ("a", ("if",)),
        ("e", ("if",)),
        ("i", ("require",)),
    ]


def test_a_statement_may_take_lines() -> None:
    first, second = items(tokens("allow a b:file {\n\tread\n};\ntype c;"))
    assert isinstance(first, Statement) and isinstance(second, Statement)
    assert (first.line, second.line, second.kind) == (1, 4, "type")


def test_a_byte_order_mark_is_no_token() -> None:
    assert [token.text for token in tokens("\ufeffpolicy_module(web)")][:1] == ["policy_module"]
