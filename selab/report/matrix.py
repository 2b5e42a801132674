"""A matrix as its user sees it: what runs now, and one table, one JSON document or one JUnit report in the end."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from selab.history import Record
from selab.host.files import to_json
from selab.matrix.plan import Cell, Ended, exit_code
from selab.report.junit import concluded, describe
from selab.report.markup import safe
from selab.report.terminal import COLOURS
from selab.report.text import plain
from selab.run.verdict import Verdict

SCHEMA = 1
"""Goes up when a key changes its meaning or goes away; new keys may come without."""


class MatrixWatcher:
    """Progress: on a terminal a line with what each run does, and one that stays for each that has ended; elsewhere plain lines."""

    def __init__(self, console: Console) -> None:
        self._console, self._runs, self._done = console, 0, 0
        self._now: dict[Cell, str] = {}
        self._status: Status | None = None

    def planned(self, runs: int, workers: int) -> None:
        self._runs = runs
        self._console.print(
            f"{runs} run{'s' * (runs != 1)} on {workers} worker{'s' * (workers != 1)}.", soft_wrap=True
        )

    def began(self, cell: Cell, where: str, *, again: bool) -> None:
        if again:
            self._console.print(
                f"{safe(str(cell))}: its worker was lost; it is done again in {safe(where)}",
                style="yellow",
                soft_wrap=True,
            )
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
        line = f"{self._done}/{self._runs} [{colour}]{safe(in_words(ended))}[/{colour}] {safe(str(ended.cell))}{why}"
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
        self._status.update(
            "  ".join(
                [
                    f"{self._done}/{self._runs}",
                    *(f"{safe(str(cell))}: {safe(what)};" for cell, what in self._now.items()),
                ]
            )
        )


def in_words(ended: Ended) -> str:
    """The verdict, and what was expected where that is not plain."""
    if ended.is_right:
        return ended.verdict.value if ended.verdict is Verdict.PASS else f"{ended.verdict.value}, as expected"
    return (
        ended.verdict.value
        if ended.cell.expected is Verdict.PASS
        else f"{ended.verdict.value}, not {ended.cell.expected.value}"
    )


def table(ended: Sequence[Ended]) -> Table:
    """A row for each scenario and policy, a column for each mode and guest; in each cell the verdict and the number of denials."""
    columns = list(dict.fromkeys((one.cell.mode.value, one.cell.guest) for one in ended))
    shown = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("scenario", "policy", *(f"{mode} {guest}" for mode, guest in columns)):
        shown.add_column(safe(name))
    for (scenario, policy), cells in rows(ended).items():
        shown.add_row(safe(scenario), safe(policy), *(_cell(cells.get(column)) for column in columns))
    return shown


def show(ended: Sequence[Ended], out: Console) -> None:
    """Print the table, and what is to be known of each run that did not end as it was expected to."""
    out.print(table(ended))
    wrong: dict[tuple[str, ...], list[Ended]] = {}
    for one in ended:
        if not one.is_right:
            wrong.setdefault(one.reasons, []).append(one)
    for reasons, runs in wrong.items():
        out.print()
        for one in runs:
            name = (
                f"  [dim]run {safe(one.result.document.run)}[/dim]" if isinstance(one.result, Record) else ""
            )
            out.print(f"{safe(str(one.cell))}: {safe(in_words(one))}{name}", soft_wrap=True)
        for reason in reasons:
            out.print(f"  {safe(reason)}", soft_wrap=True)


def rows(ended: Sequence[Ended]) -> dict[tuple[str, str], dict[tuple[str, str], Ended]]:
    """What has ended by scenario and policy, then by mode and guest."""
    found: dict[tuple[str, str], dict[tuple[str, str], Ended]] = {}
    for one in ended:
        found.setdefault((one.cell.scenario, one.cell.policy), {})[(one.cell.mode.value, one.cell.guest)] = (
            one
        )
    return found


def _cell(one: Ended | None) -> str:
    if one is None:
        return "[dim]-[/dim]"
    colour = "green" if one.is_right else COLOURS[one.verdict] if one.verdict is not Verdict.PASS else "red"
    return f"[{colour}]{safe(in_words(one))}[/{colour}]{denials_in_words(one)}"


def denials_in_words(one: Ended) -> str:
    if not isinstance(one.result, Record):
        return ""
    return f" {one.denials} denial{'' if one.denials == 1 else 's'}"


def as_json(ended: Sequence[Ended]) -> str:
    return to_json({"schema": SCHEMA, "exit_code": exit_code(ended), "runs": [_entry(one) for one in ended]})


def _entry(one: Ended) -> dict[str, Any]:
    cell = one.cell
    return {
        "scenario": cell.scenario,
        "policy": cell.policy,
        "mode": cell.mode.value,
        "guest": cell.guest,
        "expected": cell.expected.value,
        "verdict": one.verdict.value,
        "right": one.is_right,
        "reasons": list(one.reasons),
        "vm": one.slot,
        "run": one.result.document.model_dump(mode="json", by_alias=True)
        if isinstance(one.result, Record)
        else None,
    }


def matrix_junit(ended: Sequence[Ended]) -> str:
    """A test case for each run, by what was expected of it; times are seconds."""
    suite = ET.Element("testsuite", name="selab.matrix")
    for one in ended:
        seconds = sum(one.result.document.timings.values()) if isinstance(one.result, Record) else 0.0
        classname = f"selab.{one.cell.scenario}.{one.cell.policy}"
        name = f"{one.cell.mode.value} {one.cell.guest}"
        case = ET.SubElement(
            suite, "testcase", classname=plain(classname), name=plain(name), time=f"{seconds:.3f}"
        )
        _add_problem(case, one)
    return concluded(suite, sum(float(case.get("time", 0)) for case in suite))


def _add_problem(case: ET.Element, one: Ended) -> None:
    if one.is_right:
        return
    kind = "error" if one.verdict is Verdict.ERROR else "failure"
    element = ET.SubElement(case, kind, type=kind, message=plain(f"{in_words(one)}: {one.reasons[0]}"))
    denials = one.result.document.denials if isinstance(one.result, Record) else ()
    element.text = "\n".join(plain(line) for line in (*one.reasons, *map(describe, denials)))
