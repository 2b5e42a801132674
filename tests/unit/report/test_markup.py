"""Text that a guest or a file chose inside the markup of a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from selab.report.markup import safe
from selab.report.text import UNSAFE


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=file:///x]y", "a\\", "\\[b]", "[b\\", "::x"])
def test_the_markup_around_a_text_stays_and_the_texts_own_is_text(text: str) -> None:
    rendered = Text.from_markup(f"[bold]{safe(text)}[/bold]!")
    assert rendered.plain.endswith("!")
    assert [(span.start, span.end, span.style) for span in rendered.spans] == [
        (0, len(rendered.plain) - 1, "bold")
    ]


@given(st.text())
def test_any_text_is_one_line_without_a_control_character(text: str) -> None:
    rendered = Text.from_markup(f"[bold]{safe(text)}[/bold]").plain
    assert not [character for character in rendered if unicodedata.category(character) in UNSAFE]


@pytest.mark.parametrize("text", ["web_t etc_t:file { read }", "a [b] c", "größe", "a\\b"])
def test_a_harmless_text_is_shown_as_it_is(text: str) -> None:
    assert Text.from_markup(safe(text)).plain == text


def test_an_escape_sequence_and_a_line_end_are_shown_as_text() -> None:
    assert Text.from_markup(safe("\x1b[31mx\ny")).plain == "\\x1b[31mx\\ny"
