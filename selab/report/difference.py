"""The difference between two texts, or between the denials of two runs, on a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from rich.console import Console

from selab.auditlog.denials import DenialKey
from selab.history import DenialDiff
from selab.report.markup import safe


def denial_lines(changed: DenialDiff) -> Iterator[str]:
    """The difference between two runs' denials, one line each, as rich markup.

    A line says how the scenario classifies a denial that is not unexpected, or how that has changed. Only a
    denial that is unexpected now is red, and only the end of an unexpected one is green.
    """
    for key in changed.gone:
        ruling = changed.before[key]
        yield _denial_line("-", "green" if ruling.is_unexpected else "yellow", key, changed, ruling.in_words)
    for key in changed.new:
        ruling = changed.after[key]
        yield _denial_line("+", "red" if ruling.is_unexpected else "dim", key, changed, ruling.in_words)
    for key in changed.remaining:
        was, now = changed.before[key], changed.after[key]
        if key not in changed.reclassified:
            yield _denial_line(" ", "dim", key, changed, now.in_words)
        else:
            colour = "red" if now.is_unexpected else "yellow"
            reason = now.in_words or now.classification.value
            yield _denial_line(" ", colour, key, changed, f"{reason}, {was.classification.value} before")


def _denial_line(sign: str, colour: str, key: DenialKey, changed: DenialDiff, ruling: str) -> str:
    names = ", ".join(changed.containers[key])
    remark = f"  ({safe(ruling)})" if ruling else ""
    return f"  [{colour}]{sign} {safe(f'{names}: ' if names else '')}{safe(str(key))}{remark}[/{colour}]"


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_difference(was: str, now: str, names: tuple[str, str], out: Console) -> None:
    """Print the difference between `was` and `now`, which have the `names`."""
    for line in difflib.unified_diff(was.splitlines(), now.splitlines(), *names, lineterm=""):
        colour = _COLOURS.get(line[0], "default")
        out.print(f"[{colour}]{safe(line.expandtabs())}[/{colour}]")
