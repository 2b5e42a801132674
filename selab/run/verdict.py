"""PASS, FAIL or ERROR, and why; and whether each denial is unexpected, tolerated or expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from selab.auditlog.classification import ANY, UNEXPECTED, Classification, Ruling
from selab.auditlog.denials import Denial, DenialKey, Rows
from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS
from selab.policy.query.index import PolicyIndex

if TYPE_CHECKING:
    from selab.auditlog.denials import AvcDenial, SelinuxError
    from selab.scenario.expect import Expect, ExpectedDenial


class Verdict(StrEnum):
    """How a run ends. ERROR: selab could not observe everything, or could not do what was requested."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        return {Verdict.PASS: EXIT_PASS, Verdict.FAIL: EXIT_FAIL, Verdict.ERROR: EXIT_ERROR}[self]


@dataclass(frozen=True)
class ClassifiedDenial:
    """A row of denials, all of which have the same ruling.

    denial: the row.
    ruling: what the scenario says about it.
    containers: the names of the containers that it concerns; empty if the scenario has no names for them.
    """

    denial: Denial
    ruling: Ruling
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class MissingDenial:
    """An expected denial that did not occur.

    entry: the entry of the scenario that expects it.
    reason: the entry's reason.
    """

    entry: str
    reason: str

    @property
    def in_words(self) -> str:
        return f"an expected denial did not occur: {self.entry} ({self.reason})"


@dataclass(frozen=True)
class ClassifiedDenials:
    """The scenario's own denials, and what it says about them.

    rows: the denials, the unexpected ones first.
    missing: the expected denials that did not occur.
    """

    rows: tuple[ClassifiedDenial, ...] = ()
    missing: tuple[MissingDenial, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made from.

    doubts: why selab may not have observed everything.
    failures: what the workload failed at.
    denials: the scenario's own denials, classified.
    selinux_errors: failures that SELinux reported without a denial.
    reservations: why the observations are enough for a FAIL, but not for a PASS.
    """

    doubts: Sequence[str]
    failures: Sequence[str]
    denials: ClassifiedDenials
    selinux_errors: Sequence[SelinuxError]
    reservations: Sequence[str] = ()


def judge(evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict with its reasons, the decisive ones first.

    A doubt outweighs everything else. A reservation outweighs only a PASS.
    """
    failures = [*evidence.failures, *_denial_failures(evidence.denials)]
    failures += [f"SELinux reported an error: {error.meaning}" for error in evidence.selinux_errors]
    if evidence.doubts:
        return Verdict.ERROR, (*evidence.doubts, *failures)
    if failures:
        return Verdict.FAIL, tuple(failures)
    if evidence.reservations:
        return Verdict.ERROR, tuple(evidence.reservations)
    return Verdict.PASS, ("The workload met the scenario's expectations, and nothing unexpected was denied.",)


def _denial_failures(denials: ClassifiedDenials) -> list[str]:
    count = len({key for row in denials.rows if row.ruling.is_unexpected for key in row.denial.keys})
    reasons = [f"{count} unexpected denial{'s' if count > 1 else ''}"] if count else []
    return reasons + [missing.in_words for missing in denials.missing]


class Classifier:
    """Classifies denials by a scenario's expectations, and notes which of the expected ones occurred."""

    def __init__(self, expect: Expect) -> None:
        self._entries = () if isinstance(expect.denials, str) else expect.denials
        self._otherwise = UNEXPECTED
        if expect.denials == "any":
            self._otherwise = Ruling(Classification.TOLERATED, ANY, "the scenario tolerates any denial")
        self._paths = {entry.path for entry in self._entries}
        self._occurred: set[int] = set()
        self._rulings: dict[tuple[DenialKey, str], Ruling] = {}

    def ruling_on(self, key: DenialKey, path: str) -> Ruling:
        """Return what the scenario says about the denial `key` of the object at `path`.

        If an entry expects the denial and another one tolerates it, the denial is expected.
        """
        question = key, path if path in self._paths else ""
        known = self._rulings.get(question)
        if known is None:
            known = self._rulings[question] = self._decided(*question)
        return known

    def _decided(self, key: DenialKey, path: str) -> Ruling:
        fitting = {number: entry for number, entry in enumerate(self._entries) if covers(entry, key, path)}
        self._occurred |= fitting.keys()
        entry = min(fitting.values(), key=lambda entry: entry.as_ != "expect", default=None)
        if entry is None:
            return self._otherwise
        expected = entry.as_ == "expect"
        classification = Classification.EXPECTED if expected else Classification.TOLERATED
        return Ruling(classification, describe(entry), entry.reason)

    @property
    def missing(self) -> tuple[MissingDenial, ...]:
        """Return the expected denials that have not occurred so far."""
        return tuple(
            MissingDenial(describe(entry), entry.reason)
            for number, entry in enumerate(self._entries)
            if entry.as_ == "expect" and number not in self._occurred
        )


def _of_one(avc: AvcDenial) -> tuple[str, ...]:
    """Return the names of the containers that a denial concerns, in a scenario that has no names for them."""
    return ()


def classify(
    expect: Expect,
    decisions: Iterable[AvcDenial],
    names: Callable[[AvcDenial], tuple[str, ...]] = _of_one,
) -> ClassifiedDenials:
    """Classify each denied permission of each record, and group those with the same ruling into rows.

    `names` returns the containers that a denial concerns; a row has only denials of the same ones.
    """
    classifier = Classifier(expect)
    rows: dict[tuple[Ruling, tuple[str, ...]], Rows] = {}
    for avc in decisions:
        parts: dict[Ruling, list[str]] = {}
        for key in avc.keys:
            parts.setdefault(classifier.ruling_on(key, avc.path), []).append(key.permission)
        containers = names(avc)
        for ruling, permissions in (parts or {UNEXPECTED: []}).items():
            part = avc if len(parts) == 1 else replace(avc, permissions=tuple(permissions))
            rows.setdefault((ruling, containers), Rows()).add(part)
    classified = [
        ClassifiedDenial(denial, ruling, containers)
        for (ruling, containers), group in rows.items()
        for denial in group.denials()
    ]
    return ClassifiedDenials(tuple(sorted(classified, key=_order)), classifier.missing)


def by_command(denials: ClassifiedDenials, index: PolicyIndex) -> ClassifiedDenials:
    """Mark the rows whose ioctl commands the policy distinguishes, because allowxperm rules apply."""
    return replace(denials, rows=tuple(_marked(row, index) for row in denials.rows))


def _marked(row: ClassifiedDenial, index: PolicyIndex) -> ClassifiedDenial:
    denial = row.denial
    if not denial.commands or not index.extended(denial.source, denial.target, denial.tclass):
        return row
    return replace(row, denial=replace(denial, by_command=True))


def _order(row: ClassifiedDenial) -> tuple[int, str, str, str, str, tuple[str, ...]]:
    denial, ruling = row.denial, row.ruling
    names = denial.source, denial.target, denial.tclass, ruling.entry
    return ruling.classification.order, *names, row.containers


def covers(pattern: ExpectedDenial, key: DenialKey, path: str) -> bool:
    """Whether `pattern` covers the denial `key` of the object at `path`."""
    fields = (
        (pattern.source, key.source),
        (pattern.target, key.target),
        (pattern.tclass, key.tclass),
        (pattern.path, path),
    )
    if any(expected and expected != actual for expected, actual in fields):
        return False
    return not pattern.permissions or key.permission in pattern.permissions


def describe(pattern: ExpectedDenial) -> str:
    """Return the pattern in one line, with `*` for what it leaves open."""
    permissions = " ".join(pattern.permissions) or "*"
    types = f"{pattern.source or '*'} -> {pattern.target or '*'}:{pattern.tclass or '*'}"
    return f"{types} {{ {permissions} }}{f' {pattern.path}' if pattern.path else ''}"
