"""A run as one JSON document: the keys of docs/reference.md, nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from selab import __version__
from selab.audit.denial import Denial
from selab.experiment import Run

SCHEMA = 1
"""Goes up when a key changes its meaning or goes away; new keys may come without."""


def run_document(run: Run) -> dict[str, Any]:
    """The run as plain data. `timings` are seconds by stage, `started` is UTC in ISO 8601."""
    return {
        "schema": SCHEMA,
        "selab": __version__,
        "run": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "scenario": run.plan.scenario.name,
        "mode": run.plan.mode.value,
        "policy": run.plan.policy,
        "label": {"requested": f"{run.label.type}:{run.label.level}", "actual": sorted(run.outcome.labels)},
        "steps": [
            {"name": step.name, "ok": step.ok, "seconds": round(step.seconds, 3), "detail": step.detail} for step in run.outcome.steps
        ],
        "denials": denial_rows(run.attribution.scenario),
        "runtime_denials": denial_rows(run.attribution.runtime),
        "other_denials": sum(denial.count for denial in run.attribution.machine),
        "selinux_errors": [error.to_json() for error in run.attribution.errors],
        "verdict": run.verdict.value,
        "reasons": list(run.reasons),
        "timings": run.timings,
    }


def denial_rows(denials: Sequence[Denial]) -> list[dict[str, Any]]:
    """One entry for each unique (source type, target type, class), with the union of its permissions."""
    return [denial.to_json() for denial in denials]


def as_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
