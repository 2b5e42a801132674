"""A matrix on a terminal: the runs in progress, and the table of the results at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.status import Status
from rich.table import Table

from selab.history import Record
from selab.matrix.plan import Cell, Ended
from selab.report.markup import safe
from selab.report.terminal import COLOURS
from selab.report.words import columns, denials_in_words, rows, verdict_in_words
from selab.run.verdict import Verdict


class MatrixWatcher:
    """The progress of a matrix.

    On a terminal, a status line has each run's current step, and each run that has ended has a line. In a
    log, all lines are plain.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._runs, self._done = console, 0, 0
        self._now: dict[Cell, str] = {}
        self._status: Status | None = None

    def planned(self, runs: int, workers: int) -> None:
        self._runs = runs
        line = f"{runs} run{'s' * (runs != 1)} on {workers} worker{'s' * (workers != 1)}."
        self._console.print(line, soft_wrap=True)

    def began(self, cell: Cell, where: str, *, again: bool) -> None:
        if again:
            line = f"{safe(str(cell))}: its worker was lost; it is done again in {safe(where)}"
            self._console.print(line, style="yellow", soft_wrap=True)
        elif not self._console.is_terminal:
            self._console.print(f"{safe(str(cell))}: in {safe(where)} ...", soft_wrap=True)
        self._show(cell, where)

    def doing(self, cell: Cell, step: str) -> None:
        self._show(cell, step)

    def ended(self, ended: Ended) -> None:
        self._done += 1
        self._now.pop(ended.cell, None)
        colour = COLOURS[ended.verdict]
        why = "" if ended.is_right else f"  {safe(ended.reasons[0])}"
        verdict = f"[{colour}]{safe(verdict_in_words(ended))}[/{colour}]"
        line = f"{self._done}/{self._runs} {verdict} {safe(str(ended.cell))}{why}"
        self._console.print(line, soft_wrap=True)
        self._update()

    def close(self) -> None:
        if self._status:
            self._status.stop()

    def _show(self, cell: Cell, what: str) -> None:
        self._now[cell] = what
        self._update()

    def _update(self) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        steps = (f"{safe(str(cell))}: {safe(what)};" for cell, what in self._now.items())
        self._status.update("  ".join([f"{self._done}/{self._runs}", *steps]))


def table(results: Sequence[Ended]) -> Table:
    """A row for each scenario and policy, a column for each mode and guest.

    A cell has the verdict and the number of denials.
    """
    heads = columns(results)
    grid = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("scenario", "policy", *(f"{mode} {guest}" for mode, guest in heads)):
        grid.add_column(safe(title))
    for (scenario, policy), cells in rows(results).items():
        grid.add_row(safe(scenario), safe(policy), *(_cell(cells.get(head)) for head in heads))
    return grid


def show(results: Sequence[Ended], out: Console) -> None:
    """Print the table, and below it the reasons of the runs that did not end as expected.

    Runs that have the same reasons are listed together.
    """
    out.print(table(results))
    wrong: dict[tuple[str, ...], list[Ended]] = {}
    for result in results:
        if not result.is_right:
            wrong.setdefault(result.reasons, []).append(result)
    for reasons, group in wrong.items():
        out.print()
        for result in group:
            run = result.result.document.run if isinstance(result.result, Record) else ""
            name = f"  [dim]run {safe(run)}[/dim]" if run else ""
            line = f"{safe(str(result.cell))}: {safe(verdict_in_words(result))}{name}"
            out.print(line, soft_wrap=True)
        for reason in reasons:
            out.print(f"  {safe(reason)}", soft_wrap=True)


def _cell(result: Ended | None) -> str:
    if result is None:
        return "[dim]-[/dim]"
    surprise = COLOURS[result.verdict] if result.verdict is not Verdict.PASS else "red"
    colour = "green" if result.is_right else surprise
    return f"[{colour}]{safe(verdict_in_words(result))}[/{colour}]{denials_in_words(result)}"
