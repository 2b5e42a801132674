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
    """How a run ends. ERROR: selab could not observe everything, or could not do what was requested."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        return {Verdict.PASS: EXIT_PASS, Verdict.FAIL: EXIT_FAIL, Verdict.ERROR: EXIT_ERROR}[self]


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made from.

    doubts: why selab may not have observed everything.
    failures: what the workload failed at.
    denials: the scenario's own denials.
    selinux_errors: failures that SELinux reported without a denial.
    reservations: why the observations are enough for a FAIL, but not for a PASS.
    """

    doubts: Sequence[str]
    failures: Sequence[str]
    denials: Sequence[Denial]
    selinux_errors: Sequence[SelinuxError]
    reservations: Sequence[str] = ()


def judge(expect: Expect, evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict with its reasons, the decisive ones first.

    A doubt outweighs everything else. A reservation outweighs only a PASS.
    """
    failures = [*evidence.failures, *_denial_failures(expect, evidence.denials)]
    failures += [f"SELinux reported an error: {error.meaning}" for error in evidence.selinux_errors]
    if evidence.doubts:
        return Verdict.ERROR, (*evidence.doubts, *failures)
    if failures:
        return Verdict.FAIL, tuple(failures)
    if evidence.reservations:
        return Verdict.ERROR, tuple(evidence.reservations)
    return Verdict.PASS, ("The workload met the scenario's expectations, and nothing unexpected was denied.",)


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
            reasons.append(f"an expected denial did not occur: {describe(pattern)} ({pattern.reason})")
    return reasons


def unexpected(denial: Denial, patterns: Sequence[ExpectedDenial]) -> tuple[str, ...]:
    """Return the permissions of `denial` that no pattern covers. Each of them is a denial of its own."""
    return tuple(
        name for name in denial.permissions if not any(covers(pattern, denial, name) for pattern in patterns)
    )


def covers(pattern: ExpectedDenial, denial: Denial, permission: str) -> bool:
    """Whether `pattern` covers the denial of `permission`. A path is compared with the row's example."""
    fields = (
        (pattern.source, denial.source),
        (pattern.target, denial.target),
        (pattern.tclass, denial.tclass),
        (pattern.path, denial.path),
    )
    if any(expected and expected != actual for expected, actual in fields):
        return False
    return not pattern.permissions or permission in pattern.permissions


def describe(pattern: ExpectedDenial) -> str:
    permissions = " ".join(pattern.permissions) or "*"
    """Return the pattern in one line, with `*` for what it leaves open."""
    return f"{pattern.source or '*'} -> {pattern.target or '*'}:{pattern.tclass or '*'} {{ {permissions} }}"
