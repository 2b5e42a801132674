"""The difference between two texts, on a terminal."""

from __future__ import annotations

import difflib

from rich.console import Console

from selab.report.markup import safe

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_difference(was: str, now: str, names: tuple[str, str], out: Console) -> None:
    """Print the difference between `was` and `now`, which have the `names`."""
    for line in difflib.unified_diff(was.splitlines(), now.splitlines(), *names, lineterm=""):
        colour = _COLOURS.get(line[0], "default")
        out.print(f"[{colour}]{safe(line.expandtabs())}[/{colour}]")
