"""Findings as a compiler prints them, and as JSON."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from selab.analysis.check import CheckResult
from selab.policy.lint import Finding, Severity
from selab.report.check import document, show_check

BELOW = Path("/lab")
TE = BELOW / "policies" / "web.te"
ERROR = Finding(TE, 3, Severity.ERROR, "unknown-interface", "There is no [x].", "Use y(domain).")
WARNING = Finding(TE, 0, Severity.WARNING, "unused", "It is not used.")


def shown(*findings: Finding, remarks: tuple[str, ...] = (), others: int = 0) -> list[str]:
    policies = {"web": findings} | {f"other{number}": () for number in range(others)}
    stream = io.StringIO()
    out = Console(file=stream, width=40, emoji=False, highlight=False)
    show_check(CheckResult(policies, remarks), BELOW, out)
    return stream.getvalue().splitlines()


def test_a_finding_has_its_place_and_its_remedy() -> None:
    assert shown(ERROR)[:2] == [
        "policies/web.te:3: error: There is no [x]. [unknown-interface]",
        "    Use y(domain).",
    ]


def test_a_finding_about_a_whole_file_has_no_line() -> None:
    assert shown(WARNING)[0] == "policies/web.te: warning: It is not used. [unused]"


def test_a_file_elsewhere_has_its_whole_path() -> None:
    assert shown(Finding(Path("/elsewhere/x.te"), 1, Severity.NOTE, "a", "b"))[0].startswith(
        "/elsewhere/x.te:1: note"
    )


@pytest.mark.parametrize(
    ("findings", "others", "line"),
    [
        ((), 0, "1 policy: nothing found"),
        ((WARNING, ERROR, WARNING), 0, "1 policy: 1 error, 2 warnings"),
        ((ERROR, ERROR), 1, "2 policies: 2 errors"),
    ],
)
def test_the_last_line_counts_every_finding(findings: tuple[Finding, ...], others: int, line: str) -> None:
    assert shown(*findings, others=others)[-1] == line


def test_what_could_not_be_checked_is_said_before_the_count() -> None:
    assert shown(remarks=("SELint is not installed.",))[-2] == "SELint is not installed."


def test_as_json_each_finding_belongs_to_its_policy() -> None:
    result = CheckResult({"app": (), "web": (ERROR, WARNING)}, ("a remark",))
    data = document(result, BELOW)
    assert data.keys() == {"schema", "policies", "findings", "remarks"}
    assert (data["schema"], data["policies"], data["remarks"]) == (1, ["app", "web"], ["a remark"])
    rows = data["findings"]
    assert isinstance(rows, list)
    assert rows[0] == {
        "policy": "web",
        "file": "policies/web.te",
        "line": 3,
        "severity": "error",
        "id": "unknown-interface",
        "message": "There is no [x].",
        "remedy": "Use y(domain).",
    }
    assert (rows[1]["severity"], rows[1]["line"]) == ("warning", 0)
