"""Documents of runs for the tests of history and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selab.matrix.plan import Ended
from selab.report.model import Report, ReportedRun, Source
from selab.run.document import RunDocument

DENIAL = {
    "source": "web_t",
    "target": "http_port_t",
    "class": "tcp_socket",
    "permissions": ["name_bind"],
    "count": 1,
    "permissive": False,
    "comm": "apache2",
    "detail": "src=80",
}

TOLERATED = {
    **DENIAL,
    "target": "proc_t",
    "class": "file",
    "permissions": ["read"],
    "path": "/proc/stat",
    "detail": "",
    "classification": "tolerated",
    "entry": "* -> proc_t:file { read }",
    "reason": "it only counts processors",
}
EXPECTED = {
    **TOLERATED,
    "target": "shadow_t",
    "path": "/etc/shadow",
    "classification": "expected",
    "entry": "web_t -> shadow_t:file { read }",
    "reason": "passwords stay secret",
}
MISSING = {"entry": "web_t -> sysctl_t:file { write }", "reason": "the kernel belongs to the host"}
SETTLED: dict[str, Any] = {
    "verdict": "PASS",
    "reasons": ["fine"],
    "steps": [],
    "denials": [TOLERATED, EXPECTED],
}
"""Fields of a run that passes with a tolerated and an expected denial."""
CLASSIFIED: dict[str, Any] = {"denials": [DENIAL, TOLERATED, EXPECTED], "missing": [MISSING], "steps": []}
"""Fields of a run that fails with one denial of each classification, and lacks an expected one."""


def document(**more: Any) -> RunDocument:
    """A failed run with one failed step and one denial, unless `more` says otherwise."""
    plain = {
        "run": "20261123-220000-abcd",
        "started": "2026-11-23T22:00:00Z",
        "scenario": "web",
        "mode": "enforcing",
        "policy": "web",
        "digest": "d",
        "base": "b",
        "label": {
            "requested": "system_u:system_r:web_t:s0:c1,c2",
            "actual": "system_u:system_r:web_t:s0:c1,c2",
        },
        "steps": [
            {"name": "page", "ok": False, "seconds": 1.5, "detail": "no answer"},
            {"name": "log", "ok": True, "seconds": 0.1},
        ],
        "denials": [DENIAL],
        "verdict": "FAIL",
        "reasons": ["step 'page' failed: no answer", "1 unexpected denial"],
        "timings": {"audit": 0.5, "steps": 1.6},
    }
    return RunDocument.model_validate(plain | more)


def report(*runs: RunDocument, te: str = "", matrix: Sequence[Ended] = ()) -> Report:
    """A report about `runs`, all of the candidate `te`, or about a matrix."""
    return Report(tuple(ReportedRun(run, (Source("web", te),)) for run in runs), tuple(matrix))


def container(name: str, policy: str) -> dict[str, Any]:
    """A container of a run's document, whose domain has the name of its policy."""
    label = f"system_u:system_r:{policy}_t:s0:c1,c2"
    return {"name": name, "policy": policy, "label": {"requested": label, "actual": label}}


SEVERAL: dict[str, Any] = {
    "policy": "web, db",
    "containers": [container("front", "web"), container("back", "db"), container("log", "none")],
    "denials": [
        {**DENIAL, "containers": ["front"]},
        {**DENIAL, "source": "db_t", "target": "web_t", "containers": ["back", "front"]},
        {**DENIAL, "source": "container_t", "containers": ["log"]},
    ],
}
"""Three containers, of which two have candidates, with a denial each."""
