"""Findings as their reader sees them: a line each in the compilers' form, or one document."""

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


def show_check(found: CheckResult, below: Path, out: Console) -> None:
    """Print the findings with their remedies, files relative to `below` where they lie in it, and a line that counts them."""
    for finding in found.findings:
        style = _STYLES[finding.severity]
        place = safe(f"{_place(finding, below)}:")
        out.print(
            f"{place} [{style}]{finding.severity}:[/] {safe(finding.message)} [dim]{safe(f'[{finding.id}]')}[/dim]",
            soft_wrap=True,
        )
        if finding.remedy:
            out.print(f"    {safe(finding.remedy)}", soft_wrap=True)
    for remark in found.remarks:
        out.print(f"[dim]{safe(remark)}[/dim]")
    out.print(
        f"{_counted(len(found.policies), 'policy', 'policies')}: {', '.join(_counts(found)) or 'nothing found'}"
    )


def document(found: CheckResult, below: Path) -> dict[str, object]:
    """The review as JSON. `line` is 0 where a finding is about a whole file."""
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
        for policy, findings in found.policies.items()
        for finding in findings
    ]
    return {
        "schema": SCHEMA,
        "policies": list(found.policies),
        "findings": rows,
        "remarks": list(found.remarks),
    }


def _counts(found: CheckResult) -> Iterator[str]:
    counts = Counter(finding.severity for finding in found.findings)
    return (_counted(counts[severity], severity, f"{severity}s") for severity in Severity if counts[severity])


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _place(finding: Finding, below: Path) -> str:
    return _file(finding, below) + (f":{finding.line}" if finding.line else "")


def _file(finding: Finding, below: Path) -> str:
    return str(finding.file.relative_to(below)) if finding.file.is_relative_to(below) else str(finding.file)
