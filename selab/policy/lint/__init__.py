"""Check a policy module's text for what its author should know before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from selab.policy.lint.calls import calls
from selab.policy.lint.declarations import declared, required
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.labels import labels
from selab.policy.lint.style import order, wildcards
from selab.policy.lint.subject import ModuleUnderLint, module_under_lint

CHECKS: tuple[Callable[[ModuleUnderLint], Iterator[Finding]], ...] = (
    calls,
    required,
    declared,
    wildcards,
    order,
    labels,
)

__all__ = ["Finding", "Severity", "ModuleUnderLint", "lint", "module_under_lint"]


def lint(module: ModuleUnderLint) -> list[Finding]:
    """Return all findings about a module's sources, in the order of its files and lines."""
    findings = [finding for check in CHECKS for finding in check(module)]
    return sorted(findings, key=lambda finding: (finding.file.suffix != ".te", finding.file, finding.line))
