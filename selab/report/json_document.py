"""JSON for programs: a run's document, a list of them, or a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selab.history import Record
from selab.host.files import to_json
from selab.matrix.plan import Ended, exit_code
from selab.report.model import Report
from selab.run.document import RunDocument

SCHEMA = 1
"""The schema of a list of runs and of a matrix: it goes up when a key changes its meaning or disappears."""


def render(report: Report) -> str:
    """A matrix if there is one, the document itself if there is one run, or else a list of the documents."""
    if report.matrix:
        return to_json(_matrix(report.matrix)) + "\n"
    if len(report.runs) == 1:
        return report.runs[0].document.as_json() + "\n"
    return to_json({"schema": SCHEMA, "runs": [_run(run.document) for run in report.runs]}) + "\n"


def _matrix(results: Sequence[Ended]) -> dict[str, Any]:
    return {"schema": SCHEMA, "exit_code": exit_code(results), "runs": [_entry(result) for result in results]}


def _entry(result: Ended) -> dict[str, Any]:
    cell = result.cell
    return {
        "scenario": cell.scenario,
        "policy": cell.policy,
        "mode": cell.mode.value,
        "guest": cell.guest,
        "expected": cell.expected.value,
        "verdict": result.verdict.value,
        "right": result.is_right,
        "reasons": list(result.reasons),
        "vm": result.slot,
        "run": _run(result.result.document) if isinstance(result.result, Record) else None,
    }


def _run(document: RunDocument) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True)
