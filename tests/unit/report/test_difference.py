"""A difference of two texts on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from selab.report.difference import show_difference


def shown(before: str, after: str) -> list[str]:
    out = io.StringIO()
    show_difference(before, after, ("old", "new"), Console(file=out, width=200, highlight=False))
    return out.getvalue().splitlines()


def test_a_difference_names_both_texts_and_shows_each_change() -> None:
    assert shown("a\nb\n", "a\nc\n") == ["--- old", "+++ new", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]


def test_equal_texts_have_no_difference() -> None:
    assert shown("a\n", "a\n") == []


def test_markup_in_a_policy_is_text() -> None:
    assert "+[red]a[/red]" in shown("", "[red]a[/red]\n")
