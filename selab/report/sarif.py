"""A run as SARIF 2.1.0: a result for each denial, located in the candidate's `.te`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from selab import __version__
from selab.report.junit import describe
from selab.report.place import line_of
from selab.report.text import plain
from selab.run.document import DenialEntry, RunDocument
from selab.run.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "denial": "SELinux denied an access of the scenario.",
    "hidden-denial": "A dontaudit rule hides a denial of the scenario.",
    "selinux-error": "SELinux reported an error without a denial.",
}


def sarif(run: RunDocument, te: str) -> str:
    """The document; `te` is the candidate's source, to which the locations refer."""
    uri = quote(plain(f"policies/{run.policy}.te"))
    results = [_result("denial", "error", describe(denial), denial, uri, te) for denial in run.denials]
    results += [
        _result("hidden-denial", "warning", describe(denial), denial, uri, te) for denial in run.hidden
    ]
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
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": tool}, "invocations": [invocation], "results": results}],
    }
    return json.dumps(document, indent=2) + "\n"


def _result(rule: str, level: str, text: str, denial: DenialEntry, uri: str, te: str) -> dict[str, Any]:
    own = (
        denial.source if f"{denial.source}" in te or denial.source.removesuffix("_t") in te else denial.target
    )
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
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
