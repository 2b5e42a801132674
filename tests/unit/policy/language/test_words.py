"""The words, names and sets of a policy text."""

from __future__ import annotations

import pytest

from selab.policy.language.words import EVERYTHING, NameSet, NotAStatement, WordReader, split_words


def reader(text: str) -> WordReader:
    return WordReader(split_words(text))


def test_a_comment_is_no_word_but_its_sign_in_a_string_is_part_of_one() -> None:
    assert split_words('type a_t; # b\n"x#y" c') == ["type", "a_t", ";", '"x#y"', "c"]


@pytest.mark.parametrize(
    ("text", "names", "without"),
    [
        ("a_t", ("a_t",), set()),
        ("*", (EVERYTHING,), set()),
        ("~{ a b }", (EVERYTHING,), {"a", "b"}),
        ("{ a { b a } }", ("a", "b"), set()),
        ("{ a -b -{ c d } }", ("a",), {"b", "c", "d"}),
        ("{ a { b -c } }", ("a", "b"), {"c"}),
    ],
)
def test_a_set_has_its_names_once_and_what_it_excludes(
    text: str, names: tuple[str, ...], without: set[str]
) -> None:
    assert reader(text).set() == NameSet(names, frozenset(without))


def test_a_list_of_names_ends_at_the_semicolon() -> None:
    words = reader("a, { b c }; d")
    assert (words.names(), words.peek()) == (("a", "b", "c"), "d")


def test_the_words_up_to_an_end_are_at_least_one() -> None:
    words = reader("; a ; b")
    assert (words.until(";"), words.peek()) == ([";", "a"], "b")


@pytest.mark.parametrize("text", ["{ }", "{ -a }", "{ a", "~", ""])
def test_an_incomplete_or_empty_set_is_refused(text: str) -> None:
    with pytest.raises(NotAStatement):
        reader(text).set()


def test_a_refusal_names_the_word_and_its_surroundings() -> None:
    words = reader("allow a b ( c")
    words.at = 3
    with pytest.raises(NotAStatement, match=r"^'\(' in: allow a b \( c$"):
        words.name()
