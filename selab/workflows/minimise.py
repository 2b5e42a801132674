"""`selab minimise`: from a policy that passes to the smallest policy that still passes.

One permissive run with the smallest conceivable policy shows which accesses the workload requests. libsepol
then decides which parts of the policy grant them, and a run in enforcing mode proves the result. If that run
is denied something, the access is added and the search repeats. If a run fails without a denial that says why
(a transition, or an access that a dontaudit rule hides, causes that), further runs find the needed parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from selab.analysis.offline import candidate_of, on_its_guest
from selab.errors import InputError, SelabError
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.policy.language import cil_units, units
from selab.policy.language.units import Unit
from selab.policy.module import PolicyModule
from selab.policy.module_files import main_file
from selab.policy.query.decide import Access
from selab.policy.source_file import source, write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.document import DenialEntry, RunDocument
from selab.run.replay import Replay, replay
from selab.run.request import Request
from selab.run.verdict import Verdict
from selab.scenario.load import load_scenario
from selab.workflows.delta_debug import reduce
from selab.workflows.drafts import candidates, drafts, run_and_keep

RUNS = 20
"""The number of runs after which `minimise` stops by default."""
SHOWN = 3
"""The number of denials that explain what a part is needed for."""
UNTRIED = "no run was left to try without it"
"""What a part is needed for, if the budget of runs was spent before the search came to it."""
UNKNOWN = "a run was an ERROR before the search came to it"
"""What a part is needed for, if an ERROR ended the search."""


@dataclass(frozen=True)
class Minimum:
    """The result of a search.

    policy: the candidate's name.
    before: the text of the .te file before the search.
    after: the smallest text that has passed in enforcing mode.
    removed: the parts that were removed.
    needed: the parts that remain, each with what it is needed for.
    runs: the runs of the search.
    questions: the number of queries that libsepol answered instead of a run.
    complete: whether everything was tried before the budget of runs was spent, and before a run was an ERROR.
    """

    policy: str
    before: str
    after: str
    removed: tuple[str, ...]
    needed: tuple[tuple[str, str], ...]
    runs: tuple[RunDocument, ...]
    questions: int
    complete: bool

    @property
    def error(self) -> str:
        """The reason of the run that ended the search because it was an ERROR; "" if there was none."""
        last = self.runs[-1]
        return last.reasons[0] if last.verdict is Verdict.ERROR else ""


class SearchEnded(Exception):
    """The search cannot go on."""


class OutOfRuns(SearchEnded):
    """The budget of runs is spent."""


class RunInconclusive(SearchEnded):
    """A run was an ERROR, which says nothing about the parts that its policy lacks."""


def minimise(
    project: Project,
    machine: Machine,
    scenario: str,
    policy: str | None,
    progress: Progress,
    *,
    runs: int = RUNS,
) -> tuple[Minimum, ...]:
    """Find the smallest policy for a scenario in at most `runs` runs, all of which the history stores.

    If the scenario has several candidates, they are made smaller one after the other, each in at most `runs`
    runs, or only the one that `policy` names. The search works on a copy of the policies.
    Raises InputError if the scenario has no candidate, or if it does not pass in enforcing mode. Raises
    SelabError if the first run is an ERROR.
    """
    several = len(load_scenario(project, scenario).members) > 1
    modules = candidates(project, scenario, None if several else policy, "make smaller")
    chosen = [module for module in modules if not several or policy in (None, module.name)]
    if not chosen:
        own = ", ".join(module.name for module in modules)
        raise InputError(f"No container of '{scenario}' has the policy '{policy}'.", f"They have {own}.")
    drafting = on_its_guest(drafts(project, scenario))
    names = [module.name for module in modules]
    request = Request(scenario, None if several else names[0])
    return tuple(
        _minimise(module, Bench(drafting, machine, request, module.name, progress, runs, beside=names))
        for module in chosen
    )


def _minimise(module: PolicyModule, bench: Bench) -> Minimum:
    """Find the smallest text of one candidate; the others stay as they are."""
    before = source(module.path)
    search = Search(bench, before, language=module.language)
    try:
        passes = bench.passes(before)
    except RunInconclusive as error:
        reason = bench.runs[-1].reasons[0]
        raise SelabError(
            "It is unknown whether the policy passes in enforcing mode.",
            f"ERROR: {reason}",
            "Run `selab doctor`.",
        ) from error
    if not passes:
        last, hint = bench.runs[-1], f"`selab learn {bench.request.scenario}` writes a policy that passes."
        raise InputError(
            "The policy does not pass in enforcing mode, so it cannot be made smaller.",
            f"{last.verdict}: {last.reasons[0]}",
            hint,
        )
    try:
        search.go()
        complete = True
    except SearchEnded:
        complete = False
    bench.write(search.proven)
    remaining = [part for part in search.parts if part not in search.gone]
    untried = UNTRIED if bench.runs[-1].verdict is not Verdict.ERROR else UNKNOWN
    needed = tuple((part.text, search.reasons.get(part, untried)) for part in remaining)
    removed = tuple(part.text for part in search.gone)
    return Minimum(
        module.name, before, search.proven, removed, needed, tuple(bench.runs), bench.questions, complete
    )


@dataclass
class Bench:
    """Tries policies, in the VM within a budget of runs, or with libsepol without a limit.

    project: the project with a draft of its policies.
    machine: the machine for the runs.
    request: what each run is asked for, apart from its mode.
    policy: the candidate's name.
    progress: where the runs report.
    budget: the number of runs at most.
    beside: the names of all candidates of the scenario; by default only this one.
    runs: the runs so far.
    questions: the number of queries that libsepol has answered so far.
    """

    project: Project
    machine: Machine
    request: Request
    policy: str
    progress: Progress
    budget: int
    beside: list[str] = field(default_factory=list)
    runs: list[RunDocument] = field(default_factory=list)
    questions: int = 0

    def run(self, te: str, mode: Mode = Mode.ENFORCING) -> RunDocument:
        """Run the scenario with the policy `te`. Raises SearchEnded if no run is left, or on an ERROR."""
        if len(self.runs) >= self.budget:
            raise OutOfRuns
        self.write(te)
        with self.progress.step(f"Run {len(self.runs) + 1}: {mode.value}"):
            request = replace(self.request, mode=mode)
            self.runs.append(run_and_keep(self.project, self.machine, request, self.progress))
        if self.runs[-1].verdict is Verdict.ERROR:
            raise RunInconclusive
        return self.runs[-1]

    def passes(self, te: str) -> bool:
        """Whether the scenario passes with the policy `te` in enforcing mode. Raises SearchEnded."""
        return self.run(te).verdict is Verdict.PASS

    def ask(self, te: str, requested: Iterable[Access]) -> Replay:
        """Return what the policy `te` would decide about the `requested` accesses."""
        self.questions += 1
        self.write(te)
        candidate = candidate_of(self.project, self.beside or [self.policy], Progress(), "Making it smaller")
        return replay(candidate.linked, list(requested))

    def write(self, te: str) -> None:
        """Write the text of the candidate's draft."""
        write_source(main_file(self.project, self.policy), te)


@dataclass
class Search:
    """The state of a search.

    bench: tries policies.
    before: the text of the whole policy.
    proven: the smallest text that has passed so far.
    gone: the parts that `proven` lacks.
    requested: the accesses that the workload requests and the whole policy grants.
    hidden: the requested accesses that dontaudit rules hide. It is unknown whether the workload needs them.
    reasons: what each part is needed for.
    lacking: for parts that do not suffice, which accesses they do not grant.
    language: the language of the policy, `te` or `cil`.
    """

    bench: Bench
    before: str
    proven: str = ""
    gone: tuple[Unit, ...] = ()
    requested: dict[Access, None] = field(default_factory=dict)
    hidden: dict[Access, None] = field(default_factory=dict)
    reasons: dict[Unit, str] = field(default_factory=dict)
    lacking: dict[tuple[Unit, ...], str] = field(default_factory=dict)
    language: str = "te"

    def __post_init__(self) -> None:
        self.proven = self.before
        self.splits = cil_units if self.language == "cil" else units
        self.parts = self.splits.units(self.before)

    def go(self) -> None:
        """Remove what the workload does not need. Raises SearchEnded. `proven` is valid at any time."""
        self._note(self._run_without_parts())
        while True:
            with self.bench.progress.step("Asking which parts are needed"):
                needed = reduce(self.parts, self._suffices)
            if self._proves(self._others(needed)):
                break
            if not self._note(self.bench.runs[-1]):
                self._remove_by_runs(needed, self._others(needed))
                break
        self._remove_hidden()
        self._narrow()

    def _run_without_parts(self) -> RunDocument:
        """Run the smallest conceivable policy, with the inherited blocks if it declares no domain else."""
        try:
            return self.bench.run(self._text(self.parts), Mode.PERMISSIVE)
        except InputError:
            smaller = tuple(part for part in self.parts if not cil_units.inherits(part))
            if smaller == self.parts:
                raise
            self.parts = smaller
        return self.bench.run(self._text(self.parts), Mode.PERMISSIVE)

    def _others(self, parts: Iterable[Unit]) -> tuple[Unit, ...]:
        excluded = set(parts)
        return tuple(part for part in self.parts if part not in excluded)

    def _text(self, gone: Sequence[Unit]) -> str:
        text: str = self.splits.without(self.before, gone)
        return text

    def _proves(self, gone: tuple[Unit, ...]) -> bool:
        """Whether a run passes without the parts `gone`. A text that is proven already is not run again."""
        if gone != self.gone:
            if not self.bench.passes(self._text(gone)):
                return False
            self.proven, self.gone = self._text(gone), gone
        return True

    def _note(self, run: RunDocument) -> bool:
        """Add to the requested accesses what `run` was denied and the whole policy grants.

        A policy need not grant what an entry of the scenario tolerates or expects to be denied.
        Returns whether any of them is new.
        """
        denials = [row for row in (*run.denials, *run.hidden) if not row.ruling.stays_denied]
        tried = {denial: _accesses(denial) for denial in denials}
        fresh = {access for accesses in tried.values() for access in accesses} - self.requested.keys()
        granted = self._granted(fresh) if fresh else set()
        self.requested |= dict.fromkeys(sorted(granted, key=str))
        self.hidden |= dict.fromkeys(
            access for denial in run.hidden for access in tried.get(denial, ()) if access in granted
        )
        return bool(granted)

    def _granted(self, fresh: Iterable[Access]) -> set[Access]:
        """Return the accesses that the whole policy grants."""
        with self.bench.progress.step("Asking what the whole policy grants"):
            decisions = self.bench.ask(self.before, sorted(fresh, key=str)).decisions
            return {decision.access for decision in decisions if decision.allowed}

    def _suffices(self, left: Sequence[Unit], chunk: Sequence[Unit]) -> bool:
        """Whether the parts `left` grant all requested accesses.

        If a single part was removed, what is then lacking is the reason why it is needed. Parts that did not
        suffice are not tried again, because the requested accesses only grow in number.
        """
        parts = tuple(left)
        if parts not in self.lacking and (denied := self._denied(parts)):
            self.lacking[parts] = denied
        self._explain(chunk, self.lacking.get(parts, ""))
        return parts not in self.lacking

    def _denied(self, left: Sequence[Unit]) -> str:
        """Describe which requested accesses the parts `left` do not grant. Returns "" if they grant all."""
        try:
            denied = sorted(self.bench.ask(self._text(self._others(left)), self.requested).denied)
        except InputError:
            return "the policy does not compile without it"
        accesses = [str(key) for key in denied[:SHOWN]]
        accesses += [f"and {len(denied) - SHOWN} more"] if len(denied) > SHOWN else []
        return ", ".join(accesses)

    def _explain(self, chunk: Sequence[Unit], reason: str) -> None:
        if len(chunk) == 1 and reason:
            self.reasons[chunk[0]] = reason

    def _remove_by_runs(self, certain: Sequence[Unit], doubtful: Sequence[Unit]) -> None:
        """Remove the `doubtful` parts without which runs still pass."""

        def passes(left: Sequence[Unit], chunk: Sequence[Unit]) -> bool:
            passed = self._proves(self._others([*certain, *left]))
            if not passed:
                self._explain(chunk, f"without it: {self.bench.runs[-1].reasons[0]}")
            return passed

        reduce(doubtful, passes)

    def _remove_hidden(self) -> None:
        """Remove the parts that only grant accesses which dontaudit rules hide, if runs still pass."""
        known = [access for access in self.requested if access not in self.hidden]
        left = self._others(self.gone)
        with self.bench.progress.step("Asking which parts only grant hidden accesses"):
            doubtful = [
                part
                for part in left
                if self.hidden and not self.bench.ask(self._text((*self.gone, part)), known).denied
            ]
        self._remove_by_runs([part for part in left if part not in doubtful], doubtful)

    def _narrow(self) -> None:
        """Remove permissions and ioctl commands from the remaining rules, if a run still passes."""
        needed: dict[str, set[str]] = {}
        commands: dict[str, int] = {}
        for access in self.requested:
            needed.setdefault(access.tclass, set()).add(access.permission)
            if access.command is not None:
                commands[access.tclass] = commands.get(access.tclass, 0) | 1 << access.command
        text = self.splits.narrowed(self.proven, needed, commands)
        if text == self.proven:
            return
        with self.bench.progress.step("Asking whether fewer permissions suffice"):
            suffices = not self.bench.ask(text, self.requested).denied
        if suffices and self.bench.passes(text):
            self.proven = text


def _accesses(denial: DenialEntry) -> list[Access]:
    return [
        Access(*pair, denial.tclass, permission, command)
        for pair in denial.evidence
        for permission in denial.permissions
        for command in denial.commands_of(permission)
    ]
