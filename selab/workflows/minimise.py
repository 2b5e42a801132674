"""From a policy that passes to the smallest that still does.

What a workload asks for beyond the smallest conceivable policy is seen in one permissive run; which parts are needed for that is asked of
libsepol; whether it was all is proven in enforcing mode. What such a run still lacks is added to what is asked for; and where nothing says
what it lacks (a transition, an access that a dontaudit rule hides), it is found out by runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from selab.analysis.offline import candidate_of
from selab.auditlog.denials import shown_target
from selab.errors import InputError
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.policy.language.units import Unit, narrowed, units, without
from selab.policy.query.decide import Access
from selab.policy.source_file import source, write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.document import DenialEntry, RunDocument
from selab.run.replay import Replay, replay
from selab.run.request import Request
from selab.run.verdict import Verdict
from selab.workflows.delta_debug import reduce
from selab.workflows.drafts import candidate, drafts, run_and_keep

RUNS = 20
SHOWN = 3
"""Denials that say enough of what a part is needed for."""


@dataclass(frozen=True)
class Minimum:
    """A policy `before` and `after`, which has passed in enforcing mode.

    `removed` are the parts that went, `needed` the parts that are left, each with what it is needed for; `questions` counts what libsepol
    was asked in the place of runs. `complete` is False where the runs were spent before everything was tried.
    """

    policy: str
    before: str
    after: str
    removed: tuple[str, ...]
    needed: tuple[tuple[str, str], ...]
    runs: tuple[RunDocument, ...]
    questions: int
    complete: bool


class OutOfRuns(Exception):
    """The budget of runs is spent."""


def minimise(
    project: Project,
    machine: Machine,
    scenario: str,
    policy: str | None,
    progress: Progress,
    *,
    runs: int = RUNS,
) -> Minimum:
    """The smallest policy for a scenario, in at most `runs` runs, each of which is in the history. Works on a copy of the policies.

    Raises InputError where the scenario has no candidate, or does not pass with it in enforcing mode.
    """
    module = candidate(project, scenario, policy, "make smaller")
    before = source(module.te)
    bench = Bench(drafts(project, scenario), machine, scenario, module.name, progress, runs)
    search = Search(bench, before)
    if not bench.passes(before):
        last, hint = bench.runs[-1], f"`selab learn {scenario}` makes one that does."
        raise InputError(
            "Only a policy that passes in enforcing mode can be made smaller.",
            f"{last.verdict}: {last.reasons[0]}",
            hint,
        )
    try:
        search.go()
        complete = True
    except OutOfRuns:
        complete = False
    kept = [part for part in search.parts if part not in search.gone]
    needed = tuple((part.text, search.reasons.get(part, "nobody has tried without it")) for part in kept)
    removed = tuple(part.text for part in search.gone)
    return Minimum(
        module.name, before, search.proven, removed, needed, tuple(bench.runs), bench.questions, complete
    )


@dataclass
class Bench:
    """Where texts are tried: in the VM, within a budget of runs, or by asking libsepol, as often as one likes."""

    project: Project
    machine: Machine
    scenario: str
    policy: str
    progress: Progress
    budget: int
    runs: list[RunDocument] = field(default_factory=list)
    questions: int = 0

    def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
        """Run the scenario with the policy `te`. Raises OutOfRuns."""
        if len(self.runs) >= self.budget:
            raise OutOfRuns
        self._write(te)
        with self.progress.step(f"Run {len(self.runs) + 1}: {mode.value}"):
            self.runs.append(
                run_and_keep(
                    self.project, self.machine, Request(self.scenario, self.policy, mode), self.progress
                )
            )
        return self.runs[-1]

    def passes(self, te: str) -> bool:
        return self.run(te).verdict is Verdict.PASS

    def ask(self, te: str, asked: Iterable[Access]) -> Replay:
        """What the policy `te` would decide."""
        self.questions += 1
        self._write(te)
        return replay(
            candidate_of(self.project, self.policy, Progress(), "Making it smaller").linked, list(asked)
        )

    def _write(self, te: str) -> None:
        write_source(self.project.policies / f"{self.policy}.te", te)


@dataclass
class Search:
    """The state of a search: the text that was `proven` last and what is `gone` from it.

    `asked` are the accesses that the workload tries and the whole policy grants. Of those that are `hidden` by dontaudit rules nobody knows
    whether it needs them. `reasons` say what a part is needed for; `lacking`, what parts that do not suffice lack.
    """

    bench: Bench
    before: str
    proven: str = ""
    gone: tuple[Unit, ...] = ()
    asked: dict[Access, None] = field(default_factory=dict)
    hidden: dict[Access, None] = field(default_factory=dict)
    reasons: dict[Unit, str] = field(default_factory=dict)
    lacking: dict[tuple[Unit, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.proven = self.before
        self.parts = units(self.before)

    def go(self) -> None:
        """Take away what can go. Raises OutOfRuns; what was proven by then is proven."""
        self._note(self.bench.run(self._text(self.parts), Mode.PERMISSIVE))
        while True:
            with self.bench.progress.step("Asking which parts are needed"):
                kept = reduce(self.parts, self._suffices)
            if self._proves(self._but(kept)):
                break
            if not self._note(self.bench.runs[-1]):
                self._by_runs(kept, self._but(kept))
                break
        self._without_what_is_hidden()
        self._narrow()

    def _but(self, parts: Iterable[Unit]) -> tuple[Unit, ...]:
        these = set(parts)
        return tuple(part for part in self.parts if part not in these)

    def _text(self, gone: Sequence[Unit]) -> str:
        return without(self.before, gone)

    def _proves(self, gone: tuple[Unit, ...]) -> bool:
        """Whether a run passes without these parts. What is proven already is not proven again."""
        if gone != self.gone:
            if not self.bench.passes(self._text(gone)):
                return False
            self.proven, self.gone = self._text(gone), gone
        return True

    def _note(self, run: RunDocument) -> bool:
        """Take into account what `run` was denied and the whole policy grants; whether that is anything new."""
        tried = {denial: _accesses(denial) for denial in (*run.denials, *run.hidden)}
        fresh = {access for accesses in tried.values() for access in accesses} - self.asked.keys()
        granted = self._granted(fresh) if fresh else set()
        self.asked |= dict.fromkeys(sorted(granted, key=str))
        self.hidden |= dict.fromkeys(
            access for denial in run.hidden for access in tried[denial] if access in granted
        )
        return bool(granted)

    def _granted(self, fresh: Iterable[Access]) -> set[Access]:
        """Those that the whole policy grants."""
        with self.bench.progress.step("Asking what the whole policy grants"):
            return {
                one.access
                for one in self.bench.ask(self.before, sorted(fresh, key=str)).decisions
                if one.allowed
            }

    def _suffices(self, left: Sequence[Unit], chunk: Sequence[Unit]) -> bool:
        """Whether these parts grant all that is asked for. What is lacking without a part by itself is what that part is needed for.

        Parts that did not suffice are not asked about again: what is asked for only grows.
        """
        kept = tuple(left)
        if kept not in self.lacking and (said := self._lacking(kept)):
            self.lacking[kept] = said
        self._explain(chunk, self.lacking.get(kept, ""))
        return kept not in self.lacking

    def _lacking(self, left: Sequence[Unit]) -> str:
        """What these parts do not grant of what is asked for, in words; nothing where they suffice."""
        try:
            denied = sorted(self.bench.ask(self._text(self._but(left)), self.asked).denied)
        except InputError:
            return "the policy does not compile without it"
        said = [
            f"{key.source} {shown_target(key.source, key.target)}:{key.tclass} {key.permission}"
            for key in denied[:SHOWN]
        ]
        said += [f"and {len(denied) - SHOWN} more"] if len(denied) > SHOWN else []
        return ", ".join(said)

    def _explain(self, chunk: Sequence[Unit], reason: str) -> None:
        if len(chunk) == 1 and reason:
            self.reasons[chunk[0]] = reason

    def _by_runs(self, certain: Sequence[Unit], doubtful: Sequence[Unit]) -> None:
        """Take away what can go of the `doubtful` parts, as runs say."""

        def passes(left: Sequence[Unit], chunk: Sequence[Unit]) -> bool:
            passed = self._proves(self._but([*certain, *left]))
            if not passed:
                self._explain(chunk, f"without it: {self.bench.runs[-1].reasons[0]}")
            return passed

        reduce(doubtful, passes)

    def _without_what_is_hidden(self) -> None:
        """Of the parts that are there only for accesses that a dontaudit rule hides, those that can go."""
        known = [access for access in self.asked if access not in self.hidden]
        left = self._but(self.gone)
        with self.bench.progress.step("Asking which parts are there for what is hidden"):
            doubtful = [
                part
                for part in left
                if self.hidden and not self.bench.ask(self._text((*self.gone, part)), known).denied
            ]
        self._by_runs([part for part in left if part not in doubtful], doubtful)

    def _narrow(self) -> None:
        """Leave out permissions of the rules that are left, if the rest passes."""
        needed: dict[str, set[str]] = {}
        for access in self.asked:
            needed.setdefault(access.tclass, set()).add(access.permission)
        text = narrowed(self.proven, needed)
        if text == self.proven:
            return
        with self.bench.progress.step("Asking whether fewer permissions do"):
            suffices = not self.bench.ask(text, self.asked).denied
        if suffices and self.bench.passes(text):
            self.proven = text


def _accesses(denial: DenialEntry) -> list[Access]:
    return [
        Access(*pair, denial.tclass, permission)
        for pair in denial.evidence
        for permission in denial.permissions
    ]
