"""A difference of two texts on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from selab.history import compare
from selab.report.difference import denial_lines, show_difference
from tests.unit.documents import DENIAL, EXPECTED, SEVERAL, TOLERATED, document


def shown(before: str, after: str) -> list[str]:
    out = io.StringIO()
    show_difference(before, after, ("old", "new"), Console(file=out, width=200, highlight=False))
    return out.getvalue().splitlines()


def test_a_difference_names_both_texts_and_shows_each_change() -> None:
    assert shown("a\nb\n", "a\nc\n") == ["--- old", "+++ new", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]


def test_a_line_that_is_new_or_gone_has_its_own_colour() -> None:
    stream = io.StringIO()
    out = Console(file=stream, width=200, highlight=False, force_terminal=True, color_system="standard")
    show_difference("a\nb\n", "a\nc\n", ("old", "new"), out)
    lines = stream.getvalue().splitlines()
    assert lines[-2:] == ["\x1b[31m-b\x1b[0m", "\x1b[32m+c\x1b[0m"]


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


UNEXPECTED = {**TOLERATED, "classification": "unexpected", "entry": "", "reason": ""}
WORDS = "tolerated by * -> proc_t:file { read }: it only counts processors"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ([TOLERATED], [UNEXPECTED], "[red]  DENIAL  (unexpected, tolerated before)[/red]"),
        ([UNEXPECTED], [TOLERATED], f"[yellow]  DENIAL  ({WORDS}, unexpected before)[/yellow]"),
        ([TOLERATED], [TOLERATED], f"[dim]  DENIAL  ({WORDS})[/dim]"),
        ([UNEXPECTED], [UNEXPECTED], "[dim]  DENIAL[/dim]"),
        ([], [UNEXPECTED], "[red]+ DENIAL[/red]"),
        ([UNEXPECTED], [], "[green]- DENIAL[/green]"),
    ],
    ids=["worse", "better", "still tolerated", "still unexpected", "new", "gone"],
)
def test_a_denial_is_red_only_if_it_is_a_new_unexpected_one(
    before: list[dict[str, object]], after: list[dict[str, object]], line: str
) -> None:
    changed = compare(document(denials=before), document(denials=after))
    assert list(denial_lines(changed)) == [f"  {line.replace('DENIAL', 'web_t proc_t:file read')}"]


def test_a_line_names_the_containers_that_the_denial_concerns() -> None:
    before, after = document(**SEVERAL), document(**{**SEVERAL, "denials": SEVERAL["denials"][1:]})
    lines = [line.partition("]")[2].partition("[")[0] for line in denial_lines(compare(before, after))]
    assert lines == [
        "- front: web_t http_port_t:tcp_socket name_bind",
        "  log: container_t http_port_t:tcp_socket name_bind",
        "  back, front: db_t web_t:tcp_socket name_bind",
    ]
