"""Text from records and logs does not control a terminal or a CI system; test_hostile.py has the attacks."""

from __future__ import annotations

import pytest

from selab.report.text import plain, plain_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web_t", "web_t"),
        ("größe", "größe"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb", r"a\nb"),
        ("::set-env name=x::y", r"\x3a:set-env name=x\x3a:y"),
        ("##[group]", r"\x23#[group]"),
        ("s0::1", "s0::1"),
    ],
)
def test_a_character_that_is_acted_on_becomes_an_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_lines_and_tabs_stay_in_text_of_several_lines() -> None:
    assert plain_lines("a\tb\nc\x1b") == "a\tb\nc\\x1b"
