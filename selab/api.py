"""Runs from Python, and what a test says of them: `selab.run("apache", mode="enforcing").assert_pass()`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from selab.analysis.offline import after_last_run
from selab.auditlog.denials import DenialKey, shown_target
from selab.errors import InputError, SelabError
from selab.history import History
from selab.host.cache import cache_dir
from selab.machine import Machine
from selab.policy.base import known_base
from selab.policy.guest.load import Mode
from selab.policy.lint.names import vocabulary
from selab.progress import Listener, Progress
from selab.project import Project, nearest
from selab.report.text import plain
from selab.run import experiment
from selab.run.document import DenialEntry, RunDocument
from selab.run.request import Request
from selab.run.verdict import Verdict

_PERMISSIONS = re.compile(r"\((?:class|common) \S+ \(([^()]*)\)")


class Wanted(TypedDict, total=False):
    """Which denial a test speaks of. What is left out may be anything; `target` may be `self`."""

    source: str
    target: str
    tclass: str
    permission: str


@dataclass(frozen=True)
class Pattern:
    """The same, as something that denials are compared with."""

    source: str | None = None
    target: str | None = None
    tclass: str | None = None
    permission: str | None = None

    def __str__(self) -> str:
        return f"{self.source or '*'} {self.target or '*'}:{self.tclass or '*'} {self.permission or '*'}"

    def covers(self, key: DenialKey) -> bool:
        target = shown_target(key.source, key.target) if self.target == "self" else key.target
        pairs = (
            (self.source, key.source),
            (self.target, target),
            (self.tclass, key.tclass),
            (self.permission, key.permission),
        )
        return all(wanted in (None, got) for wanted, got in pairs)


class Inconclusive(SelabError):
    """The run ended as ERROR: something was not seen, so it shows nothing of the policy, neither for a test nor against it.

    `result` is what was seen all the same.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(
            result.summary,
            "; ".join(map(plain, result.reasons)),
            f"`{result.command('show')}` has all of it.",
        )
        self.result = result


@dataclass(frozen=True, repr=False)
class Result:
    """A run as a test sees it. `run` is the run itself, `document` what the history keeps of it."""

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
    def denials(self) -> tuple[DenialEntry, ...]:
        """The scenario's own, a row for each source, target and class."""
        return self.document.denials

    @property
    def summary(self) -> str:
        run = self.document
        return plain(
            f"{run.scenario} under {run.policy}, {run.mode.value}: {run.verdict.value} (run {run.run})"
        )

    def command(self, name: str) -> str:
        """The command line by which a person looks at this run."""
        there = "" if Path.cwd().is_relative_to(self.project.root) else f"-C {self.project.root} "
        return f"selab {there}{name} {self.document.run}"

    def assert_pass(self) -> None:
        __tracebackhide__ = True
        self._assert(self.verdict is Verdict.PASS, "PASS was expected")

    def assert_fail(self) -> None:
        __tracebackhide__ = True
        self._assert(self.verdict is Verdict.FAIL, "FAIL was expected")

    def assert_denied(self, **wanted: Unpack[Wanted]) -> None:
        """Something like this was denied. What dontaudit rules hide counts as well, where the run was made once more without them."""
        __tracebackhide__ = True
        pattern = Pattern(**wanted)
        self._assert(bool(self._denied(pattern)), f"{pattern} was not denied")

    def assert_not_denied(self, **wanted: Unpack[Wanted]) -> None:
        """Nothing like this was denied. Raises InputError for a name that the policy in force does not have: a slip of the pen would be a
        test that always passes."""
        __tracebackhide__ = True
        pattern = Pattern(**wanted)
        self._require_names(pattern)
        found = self._denied(pattern)
        self._assert(not found, f"denied: {', '.join(map(str, found))}")

    def _denied(self, pattern: Pattern) -> list[DenialKey]:
        return [
            key for row in (*self.denials, *self.document.hidden) for key in row.keys if pattern.covers(key)
        ]

    def _require_names(self, pattern: Pattern) -> None:
        __tracebackhide__ = True
        base = known_base(self.document.base, cache_dir())
        if base is None:
            return
        names = vocabulary(base)
        types = names["type"] | self.run.loaded.types
        permissions = {
            name for found in _PERMISSIONS.findall(base.flat.read_text()) for name in found.split()
        }
        _require("type", pattern.source, types)
        _require("type", pattern.target, types | {"self"})
        _require("class", pattern.tclass, names["class"])
        _require("permission", pattern.permission, permissions)

    def _assert(self, holds: bool, said: str) -> None:
        __tracebackhide__ = True
        if not holds:
            raise AssertionError("\n".join([self.summary, plain(said), *self._lines()]))

    def _lines(self) -> list[str]:
        """What a reader wants beside a failure: the reasons, the denials, and where to read on."""
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
        return [*lines, f"`{self.command('explain' if rows else 'show')}` says more."]


class Selab:
    """The runs of a project's tests: each is kept in the project's history, and the VM is brought up by the first."""

    def __init__(self, project: Project, machine: Machine, listener: Listener | None = None) -> None:
        self.project = project
        self.machine = machine
        self.listener = listener

    def run(self, scenario: str, mode: str = "enforcing", policy: str | None = None, **more: Any) -> Result:
        """Run `scenario` in `mode` (enforcing, permissive, or domain), under `policy` instead of its own; `more` are fields of Request.

        Raises Inconclusive where the run ends as ERROR: so no assertion, and no look at `denials`, takes for seen what was not. Raises
        SelabError where no run came about.
        """
        __tracebackhide__ = True
        try:
            done = self.execute(scenario, mode, policy, **more)
        except SelabError as error:
            raise error.with_traceback(
                None
            ) from None  # its three lines are for the reader of a test's failure, how it came up is not
        result = Result(done, History.of(self.project).find(done.id).document, self.project)
        if result.verdict is Verdict.ERROR:
            raise Inconclusive(result)
        return result

    def execute(
        self, scenario: str, mode: str = "enforcing", policy: str | None = None, **more: Any
    ) -> experiment.Run:
        """The run itself, with whatever verdict: for tests of the laboratory."""
        if mode not in list(Mode):
            raise InputError(f"There is no mode '{mode}'.", hint=nearest(mode, [one.value for one in Mode]))
        request = after_last_run(self.project, Request(scenario, policy, Mode(mode), **more))
        done = experiment.run(self.project, self.machine, request, Progress(self.listener))
        History.of(self.project).add(done)
        return done


def _row(row: DenialEntry) -> str:
    example = " ".join(part for part in (row.comm, row.path, row.detail) if part)
    target, permissions = shown_target(row.source, row.target), " ".join(row.permissions)
    return plain(f"{row.source} {target}:{row.tclass} {{ {permissions} }}  {example}".rstrip())


def _require(kind: str, name: str | None, known: Iterable[str]) -> None:
    __tracebackhide__ = True
    names = sorted(known)
    if name is not None and name not in names:
        raise InputError(
            f"The policy in force has no {kind} '{name}'.",
            "Nothing is ever denied with it.",
            nearest(name, names),
        )
