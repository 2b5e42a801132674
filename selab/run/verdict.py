"""PASS, FAIL or ERROR, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS

if TYPE_CHECKING:
    from selab.auditlog.denials import Denial, SelinuxError
    from selab.scenario import Expect, ExpectedDenial


class Verdict(StrEnum):
    """What a run ends as. ERROR: selab could not see everything, or could not do what was asked; it says nothing of the policy."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        return {Verdict.PASS: EXIT_PASS, Verdict.FAIL: EXIT_FAIL, Verdict.ERROR: EXIT_ERROR}[self]


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made from: `doubts`, why something may not have been seen, and `failures`, what the workload failed at.

    `reservations` are why what was seen is enough for a FAIL, but not for a PASS.
    """

    doubts: Sequence[str]
    failures: Sequence[str]
    denials: Sequence[Denial]
    selinux_errors: Sequence[SelinuxError]
    reservations: Sequence[str] = ()


def judge(expect: Expect, evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict with its reasons, the decisive ones first. A doubt outweighs all else, a reservation a PASS."""
    failures = [*evidence.failures, *_denial_failures(expect, evidence.denials)]
    failures += [f"SELinux reported an error: {error.meaning}" for error in evidence.selinux_errors]
    if evidence.doubts:
        return Verdict.ERROR, (*evidence.doubts, *failures)
    if failures:
        return Verdict.FAIL, tuple(failures)
    if evidence.reservations:
        return Verdict.ERROR, tuple(evidence.reservations)
    return Verdict.PASS, ("The workload did what the scenario expects, with no denial that it does not.",)


def _denial_failures(expect: Expect, denials: Sequence[Denial]) -> list[str]:
    if expect.denials == "any":
        return []
    patterns = () if expect.denials == "none" else expect.denials
    reasons = []
    if count := sum(len(unexpected(denial, patterns)) for denial in denials):
        reasons.append(f"{count} unexpected denial{'s' if count > 1 else ''}")
    for pattern in patterns:
        if pattern.as_ == "expect" and not any(
            covers(pattern, denial, name) for denial in denials for name in denial.permissions
        ):
            reasons.append(f"an expected denial did not come: {describe(pattern)} ({pattern.reason})")
    return reasons


def unexpected(denial: Denial, patterns: Sequence[ExpectedDenial]) -> tuple[str, ...]:
    """The permissions of `denial` that none of `patterns` speaks of: each is a denial of its own."""
    return tuple(
        name for name in denial.permissions if not any(covers(pattern, denial, name) for pattern in patterns)
    )


def covers(pattern: ExpectedDenial, denial: Denial, permission: str) -> bool:
    """Whether `pattern` speaks of the denial of `permission`. A path is compared with the row's example."""
    fields = (
        (pattern.source, denial.source),
        (pattern.target, denial.target),
        (pattern.tclass, denial.tclass),
        (pattern.path, denial.path),
    )
    if any(wanted and wanted != got for wanted, got in fields):
        return False
    return not pattern.permissions or permission in pattern.permissions


def describe(pattern: ExpectedDenial) -> str:
    permissions = " ".join(pattern.permissions) or "*"
    return f"{pattern.source or '*'} -> {pattern.target or '*'}:{pattern.tclass or '*'} {{ {permissions} }}"
