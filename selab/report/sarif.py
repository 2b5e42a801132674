"""SARIF 2.1.0: a run for each run, with a result for each denial, located in the candidate's source."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from selab import __version__
from selab.report.model import Report, ReportedRun, Source
from selab.report.place import line_of
from selab.report.text import plain
from selab.report.words import denial_line, missing_line
from selab.run.document import ClassifiedDenialEntry, RunDocument
from selab.run.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "denial": "SELinux denied an access of the scenario.",
    "hidden-denial": "A dontaudit rule hides a denial of the scenario.",
    "missing-denial": "A denial that the scenario expects did not occur.",
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
    """The sources of the candidates are the files to which the locations refer."""
    run, uri = reported.document, _uri(reported.source_of())
    results = [_denial("denial", "error", denial, reported.source_of(denial)) for denial in run.denials]
    results += [
        _denial("hidden-denial", "warning", denial, reported.source_of(denial)) for denial in run.hidden
    ]
    results += [_result("missing-denial", "error", missing_line(missing), uri) for missing in run.missing]
    results += [_result("selinux-error", "error", plain(error.meaning), uri) for error in run.selinux_errors]
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


def _uri(source: Source) -> str:
    return quote(plain(source.file))


def _denial(rule: str, level: str, denial: ClassifiedDenialEntry, source: Source) -> dict[str, Any]:
    """A result. If the scenario tolerates or expects the denial, the result is a note, and suppressed."""
    own = denial.source if denial.source.removesuffix("_t") in source.text else denial.target
    ruling = denial.ruling
    shown, line = level if ruling.is_unexpected else "note", line_of(own, source.text)
    result = _result(rule, shown, denial_line(denial), _uri(source), line)
    if not ruling.is_unexpected:
        # The entry is in the scenario and not in the analysed source: the suppression is external.
        result["suppressions"] = [{"kind": "external", "justification": plain(ruling.in_words)}]
    fingerprint = f"{denial.source} {denial.target} {denial.tclass} {' '.join(denial.permissions)}"
    return {**result, "partialFingerprints": {"denial/v1": plain(fingerprint)}}


def _result(rule: str, level: str, text: str, uri: str, line: int = 1) -> dict[str, Any]:
    """A result without a suppression. All results of a run have `suppressions`, or none (3.27.23)."""
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [_location(uri, line)],
        "suppressions": [],
    }


def _location(uri: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": line},
        }
    }
