"""HTML: one page about runs for a reviewer.

The page is self-contained and readable without JavaScript, and shows the content of records as text only.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selab import __version__
from selab.advice.advise import Advice
from selab.history import Record, compare
from selab.matrix.plan import Ended
from selab.report.model import MARKER, Report, ReportedRun
from selab.report.text import plain, plain_lines
from selab.report.words import (
    columns,
    denials_in_words,
    example_of,
    matrix_verdict,
    rows,
    target_and_class,
    verdict_in_words,
)
from selab.run.document import ClassifiedDenialEntry, DenialEntry, RunDocument

if TYPE_CHECKING:
    from jinja2 import Template

ROW, GAP, WIDTH = 26, 10, 900
"""Pixels of the picture: a row's height, the space between two rows, and the whole width."""
BAR, CHART = 44, 120
"""Pixels of the chart: a bar's width, and the height of the highest bar."""


def render(report: Report) -> str:
    """The page."""
    style, script = _text("page.css"), _text("page.js")
    sources = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    documents = [run.document for run in report.runs]
    return _template().render(
        runs=[_shown(run) for run in report.runs],
        heading=_heading(report),
        matrix=_matrix(report.matrix, [document.run for document in documents]),
        style=style,
        script=script,
        policy=f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'",
        marker=MARKER,
        version=__version__,
        chart=_chart(documents),
    )


@functools.cache
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "plain": lambda text: plain(str(text)),
        "plain_lines": lambda text: plain_lines(str(text)),
    }
    return environment.from_string(_text("page.html.j2"))


def _heading(report: Report) -> dict[str, str]:
    if report.matrix:
        return {"name": "Matrix", "verdict": matrix_verdict(report.matrix).value}
    last = report.runs[-1].document
    return {"name": last.scenario, "verdict": last.verdict.value}


def _matrix(results: Sequence[Ended], runs: Sequence[str]) -> dict[str, Any]:
    """The table of a matrix: a row for each scenario and policy, a column for each mode and guest.

    Each cell has the result and the number that its run has on the page; the runs are listed in `runs`.
    """
    heads = columns(results)

    def cell(result: Ended | None) -> dict[str, Any]:
        if result is None:
            return {}
        number = runs.index(result.result.document.run) + 1 if isinstance(result.result, Record) else 0
        return {
            "words": verdict_in_words(result),
            "verdict": result.verdict.value if not result.is_right else "PASS",
            "more": denials_in_words(result),
            "number": number,
        }

    return {
        "columns": [" ".join(head) for head in heads],
        "rows": [
            (*names, [cell(cells.get(head)) for head in heads]) for names, cells in rows(results).items()
        ],
        "without": [
            (str(result.cell), result.reasons) for result in results if not isinstance(result.result, Record)
        ],
    }


def _text(name: str) -> str:
    return importlib.resources.files("selab.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(run: ReportedRun) -> dict[str, Any]:
    document = run.document
    advice = {entry.need.number: entry for entry in run.advice}
    denials = [(*pair, False) for pair in enumerate(document.denials, 1)]
    denials += [(*pair, True) for pair in enumerate(document.hidden, len(document.denials) + 1)]
    return {
        "document": document,
        "rows": [_row(number, denial, hidden, advice.get(number)) for number, denial, hidden in denials],
        "picture": _picture([*document.denials, *document.hidden]),
        "sources": [(source.file, _lines(source.text, document)) for source in run.sources if source.text],
        "records": run.records,
    }


def _row(number: int, denial: ClassifiedDenialEntry, hidden: bool, advice: Advice | None) -> dict[str, Any]:
    return {
        "number": number,
        "source": denial.source,
        "target": target_and_class(denial),
        "permissions": " ".join(denial.permissions),
        "count": denial.count,
        "example": example_of(denial),
        "hidden": hidden,
        "ruling": denial.ruling.in_words,
        "advice": advice,
    }


def _lines(source: str, document: RunDocument) -> list[tuple[int, str, bool]]:
    """The policy's lines, each with its number and whether it matters.

    A line matters if it names the target of an unexpected denial, or is between selab's markers.
    """
    denials = [row for row in (*document.denials, *document.hidden) if row.ruling.is_unexpected]
    own = {document.label.type, *(each.label.type for each in document.containers)}
    targets = {denial.target for denial in denials} - own
    inside, lines = False, []
    for number, line in enumerate(source.splitlines(), 1):
        begins, ends = (line.lstrip(" ;#").startswith(f"selab suggest: {word}") for word in ("begin", "end"))
        inside = (inside or begins) and not ends
        lines.append((number, line, inside or any(target in line for target in targets)))
    return lines


def _picture(denials: Sequence[DenialEntry]) -> dict[str, Any]:
    """Sources on the left, targets on the right, and a curve for each pair, as wide as what was denied."""
    sources = sorted({denial.source for denial in denials})
    targets = sorted({target_and_class(denial) for denial in denials})
    height = max(len(sources), len(targets), 1) * (ROW + GAP)
    left = {name: int((at + 0.5) * height / len(sources)) for at, name in enumerate(sources)}
    right = {name: int((at + 0.5) * height / len(targets)) for at, name in enumerate(targets)}
    curves = []
    for denial in denials:
        target = target_and_class(denial)
        start, end, middle = left[denial.source], right[target], WIDTH // 2
        path = f"M230 {start} C{middle} {start} {middle} {end} {WIDTH - 300} {end}"
        title = f"{denial.source} {target} {' '.join(denial.permissions)}"
        curves.append({"path": path, "width": min(10, 1 + len(denial.permissions)), "title": title})
    return {"left": left, "right": right, "curves": curves, "height": height, "width": WIDTH}


def _chart(runs: Sequence[RunDocument]) -> dict[str, Any]:
    """The denials of each run as a bar with two parts: the new unexpected ones, and all others."""
    most = max((len(run.keys) for run in runs), default=0) or 1
    scale = CHART / most
    bars: list[dict[str, Any]] = []
    for at, run in enumerate(runs):
        changed = compare(runs[at - 1], run) if at else None
        fresh = run.unexpected_keys.intersection(changed.new) if changed else ()
        new, gone = len(fresh), len(changed.gone) if changed else 0
        old = len(run.keys) - new
        bars.append(
            {
                "x": at * (BAR + GAP),
                "old": round(old * scale),
                "fresh": round(new * scale),
                "count": len(run.keys),
                "unexpected": len(run.unexpected_keys),
                "new": new,
                "gone": gone,
                "verdict": run.verdict.value,
                "mode": run.mode.value,
                "run": run.run,
            }
        )
    return {"bars": bars, "height": CHART, "bar": BAR, "width": max(1, len(runs)) * (BAR + GAP)}
