"""PASS, FAIL or ERROR, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS

if TYPE_CHECKING:
    from selab.audit.denial import Denial, SelinuxError
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
    """What a verdict is made from: `doubts`, why something may not have been seen, and `failures`, what the workload failed at."""

    doubts: Sequence[str]
    failures: Sequence[str]
    denials: Sequence[Denial]
    selinux_errors: Sequence[SelinuxError]


def judge(expect: Expect, evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict with its reasons, the decisive ones first. A doubt outweighs all else."""
    failures = [*evidence.failures, *_denial_failures(expect, evidence.denials)]
    failures += [f"SELinux reported an error: {error.meaning}" for error in evidence.selinux_errors]
    if evidence.doubts:
        return Verdict.ERROR, (*evidence.doubts, *failures)
    if failures:
        return Verdict.FAIL, tuple(failures)
    return Verdict.PASS, ("The workload did what the scenario expects, with no denial that it does not.",)


def _denial_failures(expect: Expect, denials: Sequence[Denial]) -> list[str]:
    if expect.denials == "any":
        return []
    patterns = () if expect.denials == "none" else expect.denials
    unexpected = [denial for denial in denials if not any(covers(pattern, denial) for pattern in patterns)]
    reasons = []
    if unexpected:
        count = len(unexpected)
        reasons.append(f"{count} unexpected denial{'s' if count > 1 else ''}")
    for pattern in patterns:
        if pattern.as_ == "expect" and not any(covers(pattern, denial, whole=False) for denial in denials):
            reasons.append(f"an expected denial did not come: {describe(pattern)} ({pattern.reason})")
    return reasons


def covers(pattern: ExpectedDenial, denial: Denial, *, whole: bool = True) -> bool:
    """Whether `pattern` speaks of `denial`; `whole`: of all its permissions, otherwise of at least one."""
    fields = ((pattern.source, denial.source), (pattern.target, denial.target), (pattern.tclass, denial.tclass))
    if any(wanted and wanted != got for wanted, got in fields) or (pattern.path and pattern.path != denial.path):
        return False
    if not pattern.permissions:
        return True
    wanted_permissions, got_permissions = set(pattern.permissions), set(denial.permissions)
    return got_permissions <= wanted_permissions if whole else bool(got_permissions & wanted_permissions)


def describe(pattern: ExpectedDenial) -> str:
    permissions = " ".join(pattern.permissions) or "*"
    return f"{pattern.source or '*'} -> {pattern.target or '*'}:{pattern.tclass or '*'} {{ {permissions} }}"
