"""Progress on a terminal: the current step, how long it took last time, and the steps that took long."""

from __future__ import annotations

import time

from rich.console import Console
from rich.status import Status
from rich.text import Text

from selab.host.durations import Durations
from selab.report.markup import safe
from selab.report.text import plain

WORTH_SHOWING = 1.0
"""Seconds: a shorter step leaves no line."""
WORTH_TELLING = 2.0
"""Seconds from which on a user wants to know how long a step will take."""


class TerminalListener:
    """On a terminal, a spinner with the current step, and a line for each step that took long.

    Elsewhere, a plain line for each step.
    """

    def __init__(self, console: Console, durations: Durations | None = None) -> None:
        self._console = console
        self._durations = durations or Durations()
        self._status: Status | None = None
        self._stack: list[_Running] = []
        # A job's log is not a terminal, even if a variable asks for colours in it.
        self._spins = console.is_interactive and console.file.isatty()

    def started(self, step: str, depth: int) -> None:
        self._stack = [*self._stack[:depth], _Running(plain(step), self._durations.last(step))]
        if not self._spins:
            self._console.print(
                f"{'  ' * depth}{safe(step)} ...{safe(_before(self._durations.last(step)))}", soft_wrap=True
            )
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(self._stack[-1])

    def noted(self, text: str, depth: int) -> None:
        self._console.print(f"{'  ' * depth}{safe(text)}", style="dim", soft_wrap=True)

    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None:
        self._stack = self._stack[:depth]
        if self._status is not None:
            if self._stack:
                self._status.update(self._stack[-1])
            else:
                self._status.stop()
                self._status = None
        if not failed:
            self._durations.took(step, seconds)
        if failed or (self._spins and seconds >= WORTH_SHOWING):
            sign = "[red]✗[/red]" if failed else "[green]✓[/green]"
            self._console.print(
                f"{'  ' * depth}{sign} {safe(step)} [dim]{seconds:.1f} s[/dim]", soft_wrap=True
            )


class _Running:
    """The current step with the seconds that it has taken so far, updated each time it is drawn."""

    def __init__(self, step: str, last: float | None) -> None:
        self._step, self._last, self._begun = step, last, time.monotonic()

    def __rich__(self) -> Text:
        text = Text(self._step, overflow="ellipsis", no_wrap=True)
        if self._last is not None and self._last >= WORTH_TELLING:
            text.append(f" (took {in_words(self._last)} last time)", style="dim")
        elapsed = time.monotonic() - self._begun
        return text.append(f" {in_words(elapsed)}", style="dim") if elapsed >= WORTH_TELLING else text


def _before(last: float | None) -> str:
    return f" ({in_words(last)} last time)" if last is not None and last >= WORTH_TELLING else ""


def in_words(seconds: float) -> str:
    """`6 s`, `2 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
