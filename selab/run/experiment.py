"""The way through, on one page: machine, policy, container, audit, verdict."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from selab.auditlog.attribution import Attribution, Scope, attribute
from selab.auditlog.denials import Denial
from selab.auditlog.windows import Window, close_window, open_window, release
from selab.container.label import ContainerLabel, random_level, runtime_default_type, runtime_file_type
from selab.container.lifecycle import Container, ContainerRefused, running
from selab.container.runtime import Runtime, runtimes
from selab.container.steps import log_tail, run_steps
from selab.guest import Guest, Query, query_all
from selab.host.cache import cache_dir
from selab.host.local import LocalHost
from selab.machine import Machine
from selab.policy.base import BasePolicy, StoreChanged, ensure_base, keep_facts, same_store, survey
from selab.policy.candidate import LoadedPolicy, WantedPolicy, compiled_all, linked, linked_file, require_type
from selab.policy.compile import CompiledModule
from selab.policy.contexts import FileContexts, file_contexts
from selab.policy.guest import drift
from selab.policy.guest.load import ANY, Mode, load_base
from selab.policy.guest.mode import renewed, restore_mode, switch_mode
from selab.policy.guest.relabel import label_files, restore_labels
from selab.policy.query.decide import can_decide
from selab.policy.query.side_effects import beyond_its_own
from selab.policy.toolchain import Toolchain, choose_toolchain, missing_on_host
from selab.progress import Progress
from selab.project import Project
from selab.run.outcome import Outcome
from selab.run.recovery import recover_on_failure, verify_login
from selab.run.replay import replay
from selab.run.request import Plan, Request, plan
from selab.run.verdict import Evidence, Verdict, judge
from selab.vm.lock import vm_lock


@dataclass(frozen=True)
class RunContext:
    """All that an attempt works with; nothing of it changes during a run."""

    guest: Guest
    machine: Machine
    project: Project
    wanted: Plan
    progress: Progress
    base: BasePolicy
    tools: Toolchain
    candidates: list[CompiledModule]
    label: ContainerLabel
    contexts: FileContexts

    @property
    def runtime(self) -> Runtime:
        return runtimes()[self.wanted.scenario.runtime]

    def policy(self, *, dontaudit: bool = True) -> WantedPolicy:
        permissive = self.label.type if self.wanted.mode is Mode.DOMAIN else ""
        return WantedPolicy(
            self.base, self.candidates, self.tools, permissive, dontaudit, self.wanted.request.installed
        )


@dataclass(frozen=True)
class Attempt:
    """What one way through the guest has shown; `changed` is what was done there by hand before it."""

    loaded: LoadedPolicy
    outcome: Outcome
    window: Window
    attribution: Attribution
    changed: frozenset[str]

    @property
    def failed_without_denial(self) -> bool:
        """Whether the workload failed while nothing was denied: a dontaudit rule may hide why."""
        quiet = not self.attribution.scenario and not self.attribution.errors
        return bool(self.outcome.failures) and quiet and not self.window.problems


@dataclass(frozen=True)
class Run:
    """One execution of a scenario, with its verdict.

    `timings` are seconds by stage; `started` is UTC; `hidden` are the denials that came only with dontaudit rules off.
    """

    id: str
    plan: Plan
    label: ContainerLabel
    loaded: LoadedPolicy
    base_fingerprint: str
    outcome: Outcome
    window: Window
    attribution: Attribution
    verdict: Verdict
    reasons: tuple[str, ...]
    started: datetime.datetime
    timings: dict[str, float]
    hidden: tuple[Denial, ...] = ()
    notes: tuple[str, ...] = ()


def run(project: Project, machine: Machine, request: Request, progress: Progress) -> Run:
    """Execute a scenario and judge it. Raises SelabError where no run came about."""
    wanted = plan(project, request)
    with (
        vm_lock(project, f"selab run {wanted.scenario.name}", progress),
        precompile(project, wanted, progress),
    ):
        with progress.step("Making sure that the VM is up", "vm"):
            guest = machine.ensure(progress)
        with contextlib.closing(guest):
            return run_on(guest, machine, project, wanted, progress)


@contextlib.contextmanager
def precompile(project: Project, wanted: Plan, progress: Progress) -> Iterator[None]:
    """Compile the candidate, so that a mistake shows before any machine is asked, and link it beside the block. Both are kept, and found
    again when the guest has said which base policy it has; where it is another one than the run before had, they were for nothing."""
    base = wanted.request.base
    if base is None or missing_on_host(base.demands):
        yield
        return
    tools = Toolchain(LocalHost(), str(project.state / "policy"))
    with progress.step("Reading and compiling the candidate"):
        candidates = _candidates(wanted, base, tools, project)
    permissive = _label_type(wanted, base) if wanted.mode is Mode.DOMAIN else ""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(linked, base, candidates, tools, permissive=permissive)
        yield


def run_on(guest: Guest, machine: Machine, project: Project, wanted: Plan, progress: Progress) -> Run:
    """The same in a guest of `machine` that is ready. Raises LockedOut where the guest had to be brought back from outside."""
    with recover_on_failure(machine, wanted.policy, wanted.mode, progress):
        return _run_on(guest, machine, project, wanted, progress)


def _run_on(guest: Guest, machine: Machine, project: Project, wanted: Plan, progress: Progress) -> Run:
    started, expected = datetime.datetime.now(datetime.UTC), wanted.request.base
    notes: list[str] = []
    try:
        lab = _prepare(guest, machine, project, wanted, progress, expected)
        found = _attempt(lab)
    except StoreChanged:
        lab = _prepare(guest, machine, project, wanted, progress)
        found = _attempt(lab)
    hidden: tuple[Denial, ...] = ()
    if (
        expected
        and expected.facts.without == lab.base.facts.without
        and expected.facts.fingerprint != lab.base.facts.fingerprint
    ):
        notes.append("The guest's policy store is not the one of the run before.")
    notes += drift.in_words(found.changed, lab.runtime.settings)
    notes += [*found.loaded.notes, *found.outcome.notes]
    notes += [f"The linked policy has nothing of the guest's {name}." for name in lab.base.left_out]
    notes += [
        f"Nothing in the guest was labelled by '{pattern}', which is too wide for a run."
        for pattern in lab.contexts.too_wide
    ]
    if found.failed_without_denial and not wanted.request.installed:
        hidden = _hidden(lab)
        notes.append("It failed without a denial, so it was run once more with dontaudit rules off.")
    verdict, reasons = _judge(wanted, found)
    if hidden:
        reasons = (
            *reasons,
            f"{len([key for denial in hidden for key in denial.keys])} denials are hidden by dontaudit rules",
        )
    timings = {stage: round(seconds, 3) for stage, seconds in progress.timings.items()}
    return Run(
        id=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        plan=wanted,
        label=lab.label,
        loaded=found.loaded,
        base_fingerprint=lab.base.facts.fingerprint,
        outcome=found.outcome,
        window=found.window,
        attribution=found.attribution,
        verdict=verdict,
        reasons=reasons,
        started=started,
        timings=timings,
        hidden=hidden,
        notes=tuple(notes),
    )


def _prepare(
    guest: Guest,
    machine: Machine,
    project: Project,
    wanted: Plan,
    progress: Progress,
    expected: BasePolicy | None = None,
) -> RunContext:
    """Everything of a run that needs no change in the guest: the base policy, the candidate as CIL, the label.

    The base policy is the `expected` one, which is made sure of when the guest is asked for more, or what the guest says.
    """
    with progress.step("Compiling the candidate", "compile"):
        names = (
            sorted(module.name for module in wanted.module.all)
            if wanted.module and not wanted.request.installed
            else []
        )
        tools = choose_toolchain(guest, project.state / "policy")
        if expected and expected.facts.without == tuple(names):
            base = expected
        else:
            base = ensure_base(guest, survey(names).of(guest), tools, cache_dir(), progress)
            keep_facts(base.facts, project.store)
        tools = choose_toolchain(guest, project.state / "policy", base.demands)
        candidates = _candidates(wanted, base, tools, project)
    level = wanted.scenario.label.level
    label = ContainerLabel(_label_type(wanted, base), level or random_level(), at_random=not level)
    require_type(label.type, candidates, base)
    contexts = file_contexts(base, candidates)
    return RunContext(guest, machine, project, wanted, progress, base, tools, candidates, label, contexts)


def _attempt(lab: RunContext, *, dontaudit: bool = True) -> Attempt:
    """One way through the guest: window open, policy in force, workload, window closed. The mode is put back, whatever happens.

    The window is opened first: what is denied once between the cache's flush and the mark would be in no window.
    """
    enforcing, reach = lab.wanted.mode is not Mode.PERMISSIVE, beyond_its_own(lab.candidates)
    with contextlib.ExitStack() as undo:
        managed = lab.machine.managed
        if reach or (not managed and not lab.wanted.request.keep):
            undo.callback(
                load_base().of, lab.guest
            )  # what logs in under it would have a label that no other policy knows
        mode = undo.enter_context(contextlib.ExitStack())
        mode.callback(restore_mode().of, lab.guest)
        with lab.progress.step("Putting the candidate in force", "policy"):
            policy = lab.policy(dontaudit=dontaudit)
            switch = switch_mode(enforcing, ANY if policy.installed else policy.digest, optional=not managed)
            late = enforcing and bool(
                lab.contexts.places
            )  # while the guest enforces, setfiles may not read what it is to apply
            at_once = () if late else (switch,)
            before = (same_store(lab.base.facts), restore_labels(), drift.changes(lab.runtime.settings))
            answers = query_all(
                lab.guest, *before, open_window(), policy.flushed([lab.label.context]), *at_once
            )
            _, _, changed, opened = (next(answers) for _ in range(4))
            undo.callback(release, lab.guest, opened)
            loaded = _in_force(lab, policy, answers, *at_once)
            labelled = undo.enter_context(_labelled(lab))
            if late:
                switch.of(lab.guest)
            if enforcing and (reach or labelled):
                verify_login(
                    lab.machine,
                    lab.wanted.policy,
                    reach or f"what it labels in {lab.contexts.places[0]}",
                    lab.progress,
                )
            if loaded.loaded and dontaudit:
                report_replay(lab, loaded)
            if drift.SETTINGS in changed and managed:
                _ensure_runtime(lab)()
                drift.settled().of(lab.guest)
        with renewed(lab.guest) if enforcing else contextlib.nullcontext():
            outcome = _workload(lab)
        with lab.progress.step("Reading the audit window", "audit"):
            window, *restored = query_all(lab.guest, close_window(opened), restore_mode())
            if restored:
                mode.pop_all()
    return Attempt(loaded, outcome, window, _attributed(lab, loaded, outcome, window), changed)


def _attributed(lab: RunContext, loaded: LoadedPolicy, outcome: Outcome, window: Window) -> Attribution:
    """Whose denials the window holds; and what became of the workload, of which they may be the only trace."""
    attribution = attribute(window.lines, Scope(lab.label.type, lab.label.level, loaded.types))
    outcome.conclude(lab.label, lab.runtime, frozenset() if window.problems else attribution.ran_as)
    return attribution


@contextlib.contextmanager
def _labelled(lab: RunContext) -> Iterator[bool]:
    """The guest's files under the candidates' file contexts inside the block, and whether there were any."""
    labelled = True  # unless it says otherwise: it may break off half-way
    try:
        labelled = label_files(lab.guest, lab.contexts)
        if labelled:
            lab.progress.note(f"Labelled what the guest has of {', '.join(lab.contexts.places)}.")
        yield labelled
    finally:
        if labelled:
            restore_labels().of(lab.guest)


def _in_force(
    lab: RunContext, policy: WantedPolicy, answers: Iterator[Any], *then: Query[None]
) -> LoadedPolicy:
    """Take the answers to `policy.flushed()` and `then`; where another policy is in force, load this one, and ask `then` again."""
    if next(answers):
        list(answers)
        return policy.kept()
    loaded, load = policy.loaded([lab.label.context], lab.progress)
    list(query_all(lab.guest, load, *then))
    return loaded


def report_replay(lab: RunContext, loaded: LoadedPolicy) -> None:
    """Say what the policy that was linked just now would decide about the denials of the run before."""
    before = lab.wanted.request.before
    if before and lab.tools.on_host and can_decide():
        found = replay(linked_file(lab.tools, loaded.digest), before.asked_for(lab.label.type))
        if found.decisions:
            lab.progress.note(f"Of the run before, {found.in_words()}.")


def _hidden(lab: RunContext) -> tuple[Denial, ...]:
    """The denials that dontaudit rules hide: the same once more without these rules, which are then put back."""
    with lab.progress.step("Running once more with dontaudit rules off", "dontaudit"):
        try:
            return _attempt(lab, dontaudit=False).attribution.scenario
        finally:
            policy = lab.policy()
            _in_force(lab, policy, query_all(lab.guest, policy.flushed([lab.label.context])))


def _candidates(wanted: Plan, base: BasePolicy, tools: Toolchain, project: Project) -> list[CompiledModule]:
    return compiled_all(wanted.module, base, tools, project.state / "compiled") if wanted.module else []


def _label_type(wanted: Plan, base: BasePolicy) -> str:
    """The scenario's type, or the candidate's NAME_t, or the base policy's own for containers."""
    own = f"{wanted.module.name}_t" if wanted.module else runtime_default_type(base.directory / "contexts")
    return wanted.scenario.label.type or own


def _workload(lab: RunContext) -> Outcome:
    """Run the container and its steps; whatever goes wrong from here on is an outcome of the run."""
    outcome = Outcome()
    try:
        with _container(lab) as container:
            if lab.wanted.request.meanwhile:
                lab.wanted.request.meanwhile(lab.base)
            with lab.progress.step("Doing the steps", "steps"):
                for result in run_steps(lab.guest, lab.wanted.scenario, container):
                    outcome.steps.append(result)
            if lab.wanted.request.beside:
                lab.wanted.request.beside()
            if not all(step.ok for step in outcome.steps):
                outcome.log = log_tail(lab.guest, container)
        outcome.labels = frozenset(container.labels)
    except ContainerRefused as refused:
        said = refused.output.strip().splitlines() or ["nobody said why"]
        outcome.refused = said[-1]
    return outcome


@contextlib.contextmanager
def _container(lab: RunContext) -> Iterator[Container]:
    wanted, keep = lab.wanted, lab.wanted.request.keep
    with contextlib.ExitStack() as stack:
        with lab.progress.step("Starting the container", "container"):
            where = (lab.project.root, cache_dir(), lab.progress)
            own = runtime_file_type(lab.base.directory / "contexts")
            workload = (wanted.scenario, wanted.image, lab.label)
            started = running(
                lab.guest,
                *workload,
                *where,
                _ensure_runtime(lab),
                contexts=lab.contexts,
                volume_type=own,
                keep=keep,
            )
            container = stack.enter_context(started)
        yield container
        with lab.progress.step("Removing the container", "remove"):
            stack.close()


def _ensure_runtime(lab: RunContext) -> Callable[[], None]:
    """What has the scenario's container runtime in the guest, where it lacks that."""
    return lambda: lab.machine.ensure_runtime(lab.guest, lab.wanted.scenario.runtime, lab.progress)


def _judge(wanted: Plan, found: Attempt) -> tuple[Verdict, tuple[str, ...]]:
    outcome, attribution, permissive = found.outcome, found.attribution, wanted.mode is Mode.PERMISSIVE
    doubts = [*outcome.doubts, *found.window.problems, *attribution.doubts]
    if not found.window.problems and found.window.enforcing is permissive:
        doubts.append(f"the guest was not {'permissive' if permissive else 'enforcing'} when the run ended")
    evidence = Evidence(
        doubts, outcome.failures, attribution.scenario, attribution.errors, outcome.reservations
    )
    return judge(wanted.scenario.expect, evidence)
