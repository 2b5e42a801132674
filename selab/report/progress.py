"""Progress for a person: the step that runs now, and each outermost one with its time once it has ended."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from selab.report.markup import safe
from selab.report.text import plain

WORTH_SHOWING = 1.0
"""Seconds: a step that was shorter leaves no line behind."""


class TerminalListener:
    """On a terminal, a spinner with the current step and a line for each that took long; elsewhere a plain line for each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._stack: list[str] = []

    def started(self, step: str, depth: int) -> None:
        self._stack = [*self._stack[:depth], plain(step)]
        if not self._console.is_terminal:
            self._console.print(f"{'  ' * depth}{safe(step)} ...", soft_wrap=True)
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(escape(self._stack[-1]))

    def noted(self, text: str, depth: int) -> None:
        self._console.print(f"{'  ' * depth}{safe(text)}", style="dim", soft_wrap=True)

    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None:
        self._stack = self._stack[:depth]
        if self._status is not None:
            if self._stack:
                self._status.update(escape(self._stack[-1]))
            else:
                self._status.stop()
                self._status = None
        if failed or (self._console.is_terminal and seconds >= WORTH_SHOWING):
            sign = "[red]✗[/red]" if failed else "[green]✓[/green]"
            self._console.print(f"{'  ' * depth}{sign} {safe(step)} [dim]{seconds:.1f} s[/dim]", soft_wrap=True)
