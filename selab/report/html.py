"""Runs as one page for a reviewer: self-contained, readable without JavaScript, and nothing of a record in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selab import __version__
from selab.advice.advise import Advice
from selab.auditlog.denials import shown_target
from selab.errors import EXIT_FAIL, EXIT_PASS
from selab.history import Record, compare
from selab.matrix.plan import Ended, exit_code
from selab.report.matrix import denials_in_words, in_words, rows
from selab.report.text import plain, plain_lines
from selab.run.document import DenialEntry, RunDocument
from selab.run.verdict import Verdict

MARKER = "<!-- made by selab report -->"
"""By which a page is known again that may be written over."""
ROW, GAP, WIDTH = 26, 10, 900
BAR, CHART = 44, 120


@dataclass(frozen=True)
class PageRun:
    """A run with what a page shows of it: the candidate's source, the raw records, and advice by the denial's number, where it is known."""

    document: RunDocument
    te: str = ""
    records: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()


def page(runs: Sequence[PageRun], matrix: Sequence[Ended] = ()) -> str:
    """The page for `runs`, the oldest first, and for the matrix that they are of, if any."""
    from jinja2 import Environment

    style, script = _text("page.css"), _text("page.js")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "plain": lambda text: plain(str(text)),
        "plain_lines": lambda text: plain_lines(str(text)),
    }
    template = environment.from_string(_text("page.html.j2"))
    shown = [_shown(run) for run in runs]
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    return template.render(
        runs=shown,
        heading=_heading(runs, matrix),
        matrix=_matrix(matrix, [run.document.run for run in runs]),
        style=style,
        script=script,
        policy=policy,
        marker=MARKER,
        version=__version__,
        chart=_chart([run.document for run in runs]),
    )


def _heading(runs: Sequence[PageRun], matrix: Sequence[Ended]) -> dict[str, str]:
    if matrix:
        verdicts = {EXIT_PASS: Verdict.PASS, EXIT_FAIL: Verdict.FAIL}
        return {"name": "Matrix", "verdict": verdicts.get(exit_code(matrix), Verdict.ERROR).value}
    return {"name": runs[-1].document.scenario, "verdict": runs[-1].document.verdict.value}


def _matrix(ended: Sequence[Ended], runs: Sequence[str]) -> dict[str, Any]:
    """The table of a matrix: a row for each scenario and policy, with what came of each mode and guest, and the number of its run here."""
    columns = list(dict.fromkeys((one.cell.mode.value, one.cell.guest) for one in ended))

    def cell(one: Ended | None) -> dict[str, Any]:
        if one is None:
            return {}
        number = runs.index(one.result.document.run) + 1 if isinstance(one.result, Record) else 0
        return {
            "words": in_words(one),
            "verdict": one.verdict.value if not one.is_right else "PASS",
            "more": denials_in_words(one),
            "number": number,
        }

    return {
        "columns": [" ".join(column) for column in columns],
        "rows": [
            (*names, [cell(cells.get(column)) for column in columns]) for names, cells in rows(ended).items()
        ],
        "without": [(str(one.cell), one.reasons) for one in ended if not isinstance(one.result, Record)],
    }


def _text(name: str) -> str:
    return importlib.resources.files("selab.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(run: PageRun) -> dict[str, Any]:
    document = run.document
    advice = {one.need.number: one for one in run.advice}
    denials = [(*pair, False) for pair in enumerate(document.denials, 1)]
    denials += [(*pair, True) for pair in enumerate(document.hidden, len(document.denials) + 1)]
    return {
        "document": document,
        "rows": [_row(number, denial, hidden, advice.get(number)) for number, denial, hidden in denials],
        "picture": _picture([*document.denials, *document.hidden]),
        "lines": _lines(run.te, document),
        "records": run.records,
    }


def _row(number: int, denial: DenialEntry, hidden: bool, advice: Advice | None) -> dict[str, Any]:
    return {
        "number": number,
        "source": denial.source,
        "target": _target(denial),
        "permissions": " ".join(denial.permissions),
        "count": denial.count,
        "example": " ".join(part for part in (denial.comm, denial.path, denial.detail) if part),
        "hidden": hidden,
        "advice": advice,
    }


def _target(denial: DenialEntry) -> str:
    return f"{shown_target(denial.source, denial.target)}:{denial.tclass}"


def _lines(te: str, document: RunDocument) -> list[tuple[int, str, bool]]:
    """The policy's lines, and whether each names a type that something was denied on, or stands between selab's markers."""
    targets = {denial.target for denial in (*document.denials, *document.hidden)} - {document.label.type}
    inside, found = False, []
    for number, line in enumerate(te.splitlines(), 1):
        inside = (inside or line.startswith("# selab suggest: begin")) and not line.startswith(
            "# selab suggest: end"
        )
        found.append((number, line, inside or any(target in line for target in targets)))
    return found


def _picture(denials: Sequence[DenialEntry]) -> dict[str, Any]:
    """Who was denied what on what: sources on the left, targets on the right, a curve between for each pair, as wide as what was denied."""
    sources = sorted({denial.source for denial in denials})
    targets = sorted({_target(denial) for denial in denials})
    height = max(len(sources), len(targets), 1) * (ROW + GAP)
    left = {name: int((at + 0.5) * height / len(sources)) for at, name in enumerate(sources)}
    right = {name: int((at + 0.5) * height / len(targets)) for at, name in enumerate(targets)}
    curves = []
    for denial in denials:
        target = _target(denial)
        here, there, middle = left[denial.source], right[target], WIDTH // 2
        path = f"M230 {here} C{middle} {here} {middle} {there} {WIDTH - 300} {there}"
        title = f"{denial.source} {target} {' '.join(denial.permissions)}"
        curves.append({"path": path, "width": min(10, 1 + len(denial.permissions)), "title": title})
    return {"left": left, "right": right, "curves": curves, "height": height, "width": WIDTH}


def _chart(runs: Sequence[RunDocument]) -> dict[str, Any]:
    """Denials of each run as bars: those that the run before had as well, and new ones."""
    most = max((len(run.keys) for run in runs), default=0) or 1
    bars: list[dict[str, Any]] = []
    for at, run in enumerate(runs):
        changed = compare(runs[at - 1], run) if at else None
        new, gone = (len(changed.new), len(changed.gone)) if changed else (0, 0)
        old = len(run.keys) - new
        scale = CHART / most
        bars.append(
            {
                "x": at * (BAR + GAP), "old": round(old * scale), "fresh": round(new * scale), "count": len(run.keys), "new": new,
                "verdict": run.verdict.value, "mode": run.mode.value, "run": run.run, "gone": gone,
            }
        )  # fmt: skip
    return {"bars": bars, "height": CHART, "bar": BAR, "width": max(1, len(runs)) * (BAR + GAP)}
