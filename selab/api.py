"""Runs from Python, and assertions about them: `selab.run("apache", mode="enforcing").assert_pass()`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from selab.auditlog.classification import Classification
from selab.auditlog.denials import DenialKey, shown_target
from selab.errors import InputError, SelabError
from selab.history import History, resume
from selab.host.cache import cache_dir
from selab.machine import Machine
from selab.policy.base import known_base
from selab.policy.guest.load import Mode
from selab.policy.lint.names import vocabulary
from selab.progress import Listener, Progress
from selab.project import Project, nearest
from selab.report.text import plain
from selab.run import experiment
from selab.run.document import ClassifiedDenialEntry, RunDocument
from selab.run.request import DEFAULT_OPTIONS, Request, RunOptions
from selab.run.verdict import Verdict

_PERMISSIONS = re.compile(r"\((?:class|common) \S+ \(([^()]*)\)")


class DenialFields(TypedDict, total=False):
    """Which denials a test means. A field that is left out matches anything.

    source: the type of the process.
    target: the type of the object, or `self` for the source type.
    tclass: the object's class.
    permission: one permission.
    classification: `unexpected`, `tolerated` or `expected`, as the verdict has decided.
    """

    source: str
    target: str
    tclass: str
    permission: str
    classification: str


@dataclass(frozen=True)
class Pattern:
    """A pattern for denials. A field that is None matches anything.

    source: the type of the process.
    target: the type of the object, or `self` for the source type.
    tclass: the object's class.
    permission: one permission.
    classification: `unexpected`, `tolerated` or `expected`.
    """

    source: str | None = None
    target: str | None = None
    tclass: str | None = None
    permission: str | None = None
    classification: str | None = None

    def __str__(self) -> str:
        names = f"{self.source or '*'} {self.target or '*'}:{self.tclass or '*'} {self.permission or '*'}"
        return f"{names} ({self.classification})" if self.classification else names

    def covers(self, key: DenialKey, classification: str) -> bool:
        """Whether the denial `key`, which the verdict classifies as `classification`, matches the pattern."""
        target = shown_target(key.source, key.target) if self.target == "self" else key.target
        pairs = (
            (self.source, key.source),
            (self.target, target),
            (self.tclass, key.tclass),
            (self.permission, key.permission),
            (self.classification, classification),
        )
        return all(expected in (None, actual) for expected, actual in pairs)


class Inconclusive(SelabError):
    """The run ended as ERROR. selab could not observe everything, so the run proves nothing about the policy.

    result: what was observed.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(
            result.summary,
            "; ".join(map(plain, result.reasons)),
            f"`{result.command('show')}` shows the run.",
        )
        self.result = result


@dataclass(frozen=True, repr=False)
class Result:
    """A run as a test sees it.

    run: the run itself.
    document: what the history stores of the run.
    project: the project that the scenario belongs to.
    """

    run: experiment.Run
    document: RunDocument
    project: Project

    def __repr__(self) -> str:
        return f"<selab run {self.document.run}: {self.document.verdict.value}>"

    @property
    def verdict(self) -> Verdict:
        return self.document.verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.document.reasons

    @property
    def denials(self) -> tuple[ClassifiedDenialEntry, ...]:
        """The scenario's own denials, one row for each source, target, class and ruling of the scenario."""
        return self.document.denials

    @property
    def unexpected(self) -> tuple[ClassifiedDenialEntry, ...]:
        """The denials that no entry of the scenario tolerates or expects."""
        return self.document.unexpected

    @property
    def summary(self) -> str:
        run = self.document
        return plain(
            f"{run.scenario} under {run.policy}, {run.mode.value}: {run.verdict.value} (run {run.run})"
        )

    def command(self, name: str) -> str:
        """Return the command line that applies the command `name` to this run."""
        option = "" if Path.cwd().is_relative_to(self.project.root) else f"-C {self.project.root} "
        return f"selab {option}{name} {self.document.run}"

    def assert_pass(self) -> None:
        """Fail the test unless the run ended as PASS."""
        __tracebackhide__ = True
        self._assert(self.verdict is Verdict.PASS, "PASS was expected")

    def assert_fail(self) -> None:
        """Fail the test unless the run ended as FAIL."""
        __tracebackhide__ = True
        self._assert(self.verdict is Verdict.FAIL, "FAIL was expected")

    def assert_denied(self, **fields: Unpack[DenialFields]) -> None:
        """Fail the test unless a denial matches `fields`.

        Tolerated and expected denials count as well, unless `classification` says otherwise, and so do
        denials that dontaudit rules hide.
        """
        __tracebackhide__ = True
        pattern = Pattern(**fields)
        _require("classification", pattern.classification, list(Classification), "selab")
        self._assert(bool(self._denied(pattern)), f"{pattern} was not denied")

    def assert_not_denied(self, **fields: Unpack[DenialFields]) -> None:
        """Fail the test if a denial matches `fields`.

        Raises InputError for a name that the policy in force does not have: a misspelled name would match no
        denial, and the test would always pass.
        """
        __tracebackhide__ = True
        pattern = Pattern(**fields)
        _require("classification", pattern.classification, list(Classification), "selab")
        self._require_names(pattern)
        denied = self._denied(pattern)
        self._assert(not denied, f"denied: {', '.join(map(str, denied))}")

    def _denied(self, pattern: Pattern) -> list[DenialKey]:
        return [
            key
            for row in (*self.denials, *self.document.hidden)
            for key in row.keys
            if pattern.covers(key, row.classification)
        ]

    def _require_names(self, pattern: Pattern) -> None:
        __tracebackhide__ = True
        base = known_base(self.document.base, cache_dir())
        if base is None:
            return
        names = vocabulary(base)
        types = names["type"] | self.run.loaded.types
        permissions = {
            name for group in _PERMISSIONS.findall(base.flat.read_text()) for name in group.split()
        }
        _require("type", pattern.source, types)
        _require("type", pattern.target, types | {"self"})
        _require("class", pattern.tclass, names["class"])
        _require("permission", pattern.permission, permissions)

    def _assert(self, holds: bool, problem: str) -> None:
        __tracebackhide__ = True
        if not holds:
            raise AssertionError("\n".join([self.summary, plain(problem), *self._lines()]))

    def _lines(self) -> list[str]:
        """The reasons, the denials, and the command that shows more."""
        rows = [
            *map(_row, self.denials),
            *(f"{_row(row)} (hidden by dontaudit)" for row in self.document.hidden),
        ]
        lines = [f"- {plain(reason)}" for reason in self.reasons]
        lines += (
            ["denials:", *(f"{number:3}  {row}" for number, row in enumerate(rows, 1))]
            if rows
            else ["no denials"]
        )
        return [*lines, f"`{self.command('explain' if rows else 'show')}` shows more."]


class Selab:
    """Runs a project's scenarios for its tests. The first run starts the VM. The history stores every run."""

    def __init__(self, project: Project, machine: Machine, listener: Listener | None = None) -> None:
        self.project = project
        self.machine = machine
        self.listener = listener

    def run(
        self, scenario: str, mode: str = "enforcing", policy: str | None = None, *, keep: bool = False
    ) -> Result:
        """Run `scenario` in `mode` (enforcing, permissive or domain), under `policy` or else its own policy.

        Raises Inconclusive if the run ends as ERROR, so that no test asserts what selab did not observe.
        Raises SelabError if there was no run to judge.
        """
        __tracebackhide__ = True
        try:
            run = self.execute(scenario, mode, policy, keep=keep)
        except SelabError as error:
            # The reader of a failed test needs the error's three lines, but no traceback.
            raise error.with_traceback(None) from None
        result = Result(run, History.of(self.project).find(run.id).document, self.project)
        if result.verdict is Verdict.ERROR:
            raise Inconclusive(result)
        return result

    def execute(
        self,
        scenario: str,
        mode: str = "enforcing",
        policy: str | None = None,
        *,
        keep: bool = False,
        options: RunOptions = DEFAULT_OPTIONS,
    ) -> experiment.Run:
        """Run `scenario` and return the run with any verdict, for the tests of selab itself."""
        if mode not in list(Mode):
            raise InputError(
                f"There is no mode '{mode}'.", hint=nearest(mode, [known.value for known in Mode])
            )
        request = Request(scenario, policy, Mode(mode), keep)
        resumed = resume(self.project, scenario, options)
        run = experiment.run(self.project, self.machine, request, Progress(self.listener), resumed)
        History.of(self.project).add(run)
        return run


def _row(row: ClassifiedDenialEntry) -> str:
    example = " ".join(part for part in (row.comm, row.path, row.detail) if part)
    target, permissions = shown_target(row.source, row.target), " ".join(row.permissions)
    ruling = f"({row.ruling.in_words})" if row.ruling.in_words else ""
    remarks = "  ".join(part for part in (example, ruling) if part)
    return plain(f"{row.source} {target}:{row.tclass} {{ {permissions} }}  {remarks}".rstrip())


def _require(kind: str, name: str | None, known: Iterable[str], owner: str = "The policy in force") -> None:
    __tracebackhide__ = True
    names = sorted(known)
    if name is not None and name not in names:
        raise InputError(
            f"{owner} has no {kind} '{name}'.",
            "No denial can ever have that name.",
            nearest(name, names),
        )
