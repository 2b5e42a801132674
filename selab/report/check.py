"""Findings on a terminal, a line each in the form that compilers use, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from selab.analysis.check import CheckResult
from selab.policy.lint import Finding, Severity
from selab.report.markup import safe

SCHEMA = 1
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show_check(result: CheckResult, below: Path, out: Console) -> None:
    """Print the findings with their remedies, and a line that counts them.

    A file in the directory `below` is named relative to it.
    """
    for finding in result.findings:
        style = _STYLES[finding.severity]
        place = safe(f"{_place(finding, below)}:")
        name = f"[dim]{safe(f'[{finding.id}]')}[/dim]"
        line = f"{place} [{style}]{finding.severity}:[/] {safe(finding.message)} {name}"
        out.print(line, soft_wrap=True)
        if finding.remedy:
            out.print(f"    {safe(finding.remedy)}", soft_wrap=True)
    for remark in result.remarks:
        out.print(f"[dim]{safe(remark)}[/dim]")
    policies = _counted(len(result.policies), "policy", "policies")
    out.print(f"{policies}: {', '.join(_counts(result)) or 'nothing found'}")


def document(result: CheckResult, below: Path) -> dict[str, object]:
    """The findings as JSON. `line` is 0 if a finding is about a whole file."""
    rows = [
        {
            "policy": policy,
            "file": _file(finding, below),
            "line": finding.line,
            "severity": str(finding.severity),
            "id": finding.id,
            "message": finding.message,
            "remedy": finding.remedy,
        }
        for policy, findings in result.policies.items()
        for finding in findings
    ]
    return {
        "schema": SCHEMA,
        "policies": list(result.policies),
        "findings": rows,
        "remarks": list(result.remarks),
    }


def _counts(result: CheckResult) -> Iterator[str]:
    counts = Counter(finding.severity for finding in result.findings)
    return (_counted(counts[severity], severity, f"{severity}s") for severity in Severity if counts[severity])


def _counted(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _place(finding: Finding, below: Path) -> str:
    return _file(finding, below) + (f":{finding.line}" if finding.line else "")


def _file(finding: Finding, below: Path) -> str:
    return str(finding.file.relative_to(below)) if finding.file.is_relative_to(below) else str(finding.file)
