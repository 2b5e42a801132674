"""A difference of two texts on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from selab.history import compare
from selab.report.difference import denial_lines, show_difference
from tests.unit.documents import DENIAL, EXPECTED, TOLERATED, document


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


def test_a_changed_denial_says_what_the_scenario_says() -> None:
    changed = compare(document(denials=[DENIAL, EXPECTED]), document(denials=[TOLERATED]))
    assert list(denial_lines(changed)) == [
        "  [green]- web_t http_port_t:tcp_socket name_bind[/green]",
        "  [yellow]- web_t shadow_t:file read  "
        "(expected by web_t -> shadow_t:file { read }: passwords stay secret)[/yellow]",
        "  [dim]+ web_t proc_t:file read  "
        "(tolerated by * -> proc_t:file { read }: it only counts processors)[/dim]",
    ]


def test_a_denial_that_is_classified_differently_says_how_it_was() -> None:
    unexpected = {**TOLERATED, "classification": "unexpected", "entry": "", "reason": ""}
    changed = compare(document(denials=[TOLERATED]), document(denials=[unexpected]))
    assert list(denial_lines(changed)) == [
        "  [red]  web_t proc_t:file read  (unexpected, tolerated before)[/red]"
    ]
