"""SARIF 2.1.0: a run for each run, with a result for each denial, located in the candidate's `.te`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from selab import __version__
from selab.report.model import Report, ReportedRun
from selab.report.place import line_of
from selab.report.text import plain
from selab.report.words import denial_line
from selab.run.document import DenialEntry, RunDocument
from selab.run.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "denial": "SELinux denied an access of the scenario.",
    "hidden-denial": "A dontaudit rule hides a denial of the scenario.",
    "selinux-error": "SELinux reported an error without a denial.",
}


def render(report: Report) -> str:
    """The document. If there are several runs, they have identifiers, which a code-scanning service tells
    apart."""
    several = len(report.runs) > 1
    runs = [_run(run, _identifier(run.document) if several else {}) for run in report.runs]
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _identifier(run: RunDocument) -> dict[str, Any]:
    """`automationDetails` (SARIF 2.1.0, 3.17): the last part of the identifier names the run, the rest is its
    category."""
    parts = (run.scenario, run.policy, run.mode.value, run.run)
    return {"automationDetails": {"id": "/".join(quote(plain(part), safe="") for part in parts)}}


def _run(reported: ReportedRun, identifier: dict[str, Any]) -> dict[str, Any]:
    """The candidate's source `te` is the file to which the locations refer."""
    run, te = reported.document, reported.te
    uri = quote(plain(f"policies/{run.policy}.te"))
    results = [_result("denial", "error", denial, uri, te) for denial in run.denials]
    results += [_result("hidden-denial", "warning", denial, uri, te) for denial in run.hidden]
    results += [
        {
            "ruleId": "selinux-error",
            "level": "error",
            "message": {"text": plain(error.meaning)},
            "locations": [_location(uri, 1)],
        }
        for error in run.selinux_errors
    ]
    tool = {
        "name": "selab",
        "version": __version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in RULES.items()],
    }
    invocation = {
        "executionSuccessful": run.verdict is not Verdict.ERROR,
        "startTimeUtc": f"{run.started:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": plain(reason)}}
            for reason in (run.reasons if run.verdict is Verdict.ERROR else ())
        ],
    }
    return {"tool": {"driver": tool}, **identifier, "invocations": [invocation], "results": results}


def _result(rule: str, level: str, denial: DenialEntry, uri: str, te: str) -> dict[str, Any]:
    own = denial.source if denial.source.removesuffix("_t") in te else denial.target
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": denial_line(denial)},
        "locations": [_location(uri, line_of(own, te))],
        "partialFingerprints": {
            "denial/v1": plain(
                f"{denial.source} {denial.target} {denial.tclass} {' '.join(denial.permissions)}"
            )
        },
    }


def _location(uri: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": line},
        }
    }
