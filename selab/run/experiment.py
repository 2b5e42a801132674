"""The main function, on one page: machine, policy, container, audit, verdict."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from selab.auditlog.attribution import Attribution, Party, Scope, attribute
from selab.auditlog.denials import AvcDenial, DenialKey
from selab.auditlog.windows import Window
from selab.container.label import ContainerLabel
from selab.container.workload import LabelledContainer
from selab.guest import Guest
from selab.machine import Machine
from selab.policy.base import BasePolicy
from selab.policy.candidate import LoadedPolicy
from selab.policy.compile import CompiledModule
from selab.policy.contexts import never_matching
from selab.policy.guest import drift
from selab.policy.guest.load import Mode
from selab.policy.guest_templates import sources_of_templates
from selab.policy.language.commands import as_hex
from selab.policy.query.index import PolicyIndex, has_extended_rules
from selab.policy.survey import StoreChanged
from selab.progress import Progress
from selab.project import Project
from selab.run.context import RunContext, precompile, prepare
from selab.run.outcome import Outcome
from selab.run.recovery import recover_on_failure
from selab.run.request import DEFAULT_OPTIONS, Plan, Request, RunOptions, make_plan
from selab.run.stages import (
    base_policy_restored,
    containers_removed,
    guard_renewed,
    mode_restored,
    policy_in_force,
    read_window,
    restore_dontaudit,
    services_restored,
    workload,
)
from selab.run.verdict import (
    ClassifiedDenial,
    ClassifiedDenials,
    Evidence,
    Verdict,
    by_command,
    classify,
    judge,
)
from selab.vm.lock import vm_lock

Judged = Callable[["Run"], None]
"""What is called with a run that has its verdict."""


@dataclass(frozen=True)
class Attempt:
    """What one pass through the stages has shown.

    loaded: the policy that was in force.
    outcome: what became of the workload.
    window: the audit log's lines that belong to the attempt.
    attribution: the denials in the window, by who was denied.
    denials: the scenario's own denials, classified.
    drift: what was changed in the guest by hand before the attempt.
    """

    loaded: LoadedPolicy
    outcome: Outcome
    window: Window
    attribution: Attribution
    denials: ClassifiedDenials
    drift: frozenset[str]

    @property
    def failed_without_denial(self) -> bool:
        """Whether the workload failed while nothing unexpected was denied.

        A dontaudit rule may then hide the reason.
        """
        settled = all(row.ruling.stays_denied for row in self.denials.rows)
        quiet = settled and not self.attribution.errors
        return bool(self.outcome.failures) and quiet and not self.window.problems


@dataclass(frozen=True)
class Run:
    """One execution of a scenario, with its verdict.

    id: unique name, `YYYYMMDD-HHMMSS-xxxx`.
    plan: what was run.
    containers: the containers, each with the label that was requested for its processes.
    loaded: the policy that was in force.
    base_fingerprint: the fingerprint of the base policy.
    outcome: what became of the workload.
    window: the audit log's lines that belong to the run.
    attribution: the denials in the window, by who was denied.
    denials: the scenario's own denials, classified.
    verdict: PASS, FAIL or ERROR.
    reasons: why the verdict is what it is, the decisive reasons first.
    started: UTC.
    timings: seconds by stage, in the order in which the stages began. Some run beside others or within them.
    seconds: from the beginning of the command, or of the run if the command makes several, to the verdict.
    hidden: the denials that appeared only with dontaudit rules off, classified.
    notes: what else the user should know.
    """

    id: str
    plan: Plan
    containers: tuple[LabelledContainer, ...]
    loaded: LoadedPolicy
    base_fingerprint: str
    outcome: Outcome
    window: Window
    attribution: Attribution
    denials: ClassifiedDenials
    verdict: Verdict
    reasons: tuple[str, ...]
    started: datetime.datetime
    timings: dict[str, float]
    seconds: float
    hidden: tuple[ClassifiedDenial, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> ContainerLabel:
        """The label that was requested for the container; for the first one, if there are several."""
        return self.containers[0].label


def _ignore(run: Run) -> None:
    """Do nothing with the run, which `run` returns as well."""


def run(
    project: Project,
    machine: Machine,
    request: Request,
    progress: Progress,
    options: RunOptions = DEFAULT_OPTIONS,
    judged: Judged = _ignore,
) -> Run:
    """Run a scenario and judge it. Raises SelabError if there was no run to judge.

    `judged` is called with the run as soon as it has its verdict. Only then does selab wait until what the
    run has left in the guest is removed; if it is not, SelabError is raised after the call.
    """
    plan = make_plan(project, request, options)
    with (
        vm_lock(project, f"selab run {plan.scenario.name}", progress),
        precompile(project, plan, progress),
    ):
        with progress.step("Making sure that the VM is up", "vm"):
            guest = machine.ensure(progress)
        with contextlib.closing(guest):
            return run_on(guest, machine, project, plan, progress, judged)


def run_on(
    guest: Guest,
    machine: Machine,
    project: Project,
    plan: Plan,
    progress: Progress,
    judged: Judged = _ignore,
) -> Run:
    """Run a plan in a guest of `machine` that is ready. Raises LockedOut if the guest had to be recovered.

    `judged` is called as `run` describes.
    """
    started, expected = datetime.datetime.now(datetime.UTC), plan.options.expected_base
    with recover_on_failure(machine, plan.policy, plan.mode, progress), contextlib.ExitStack() as undo:
        try:
            context = prepare(guest, machine, project, plan, progress, expected)
            attempt = undo.enter_context(_attempt(context))
        except StoreChanged:
            context = prepare(guest, machine, project, plan, progress)
            attempt = undo.enter_context(_attempt(context))
        result = _judged_run(context, attempt, started, undo)
        judged(result)
    return result


def _judged_run(
    context: RunContext, attempt: Attempt, started: datetime.datetime, undo: contextlib.ExitStack
) -> Run:
    """Judge an attempt, which `undo` undoes. That happens before another attempt, if there has to be one."""
    plan, expected = context.plan, context.plan.options.expected_base
    notes = _notes(context, attempt, expected)
    hidden: tuple[ClassifiedDenial, ...] = ()
    if attempt.failed_without_denial and not plan.options.installed:
        undo.close()
        hidden = _hidden_denials(context, attempt.denials)
        denial = "an unexpected denial" if attempt.denials.rows else "a denial"
        notes.append(f"The workload failed without {denial}, so it ran once more with dontaudit rules off.")
    verdict, reasons = _judge(plan, attempt)
    if hidden:
        count = sum(len(row.denial.keys) for row in hidden)
        reasons = (*reasons, f"denials hidden by dontaudit rules: {count}")
    return Run(
        id=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        plan=plan,
        containers=context.containers,
        loaded=attempt.loaded,
        base_fingerprint=context.base.facts.fingerprint,
        outcome=attempt.outcome,
        window=attempt.window,
        attribution=attempt.attribution,
        denials=attempt.denials,
        verdict=verdict,
        reasons=reasons,
        started=started,
        timings={stage: round(seconds, 3) for stage, seconds in context.progress.timings.items()},
        seconds=round(context.progress.seconds, 3),
        hidden=hidden,
        notes=tuple(notes),
    )


@contextlib.contextmanager
def _attempt(
    context: RunContext, *, dontaudit: bool = True, seen: Collection[DenialKey] = frozenset()
) -> Iterator[Attempt]:
    """Take the plan through the stages once, and judge it during the block.

    Each stage undoes in the guest what it did, whatever happens: after the block, or when a stage fails.

    `seen`: the denials that are known already, which are left out.
    """
    with (
        services_restored(context),
        base_policy_restored(context),
        mode_restored(context) as mode,
        policy_in_force(context, dontaudit=dontaudit) as policy,
        guard_renewed(context),
        containers_removed(context, mode),
    ):
        outcome = workload(context)
        window = read_window(context, policy.window)
        attribution = _attribute(context, policy.loaded, outcome, window)
        scope = scope_of(context, policy.loaded)
        unseen = _without(attribution.decisions, seen)
        denials = classify(context.plan.scenario.expect, unseen, scope.names)
        denials = _by_command(denials, context.base, context.candidates)
        # A flood of records has a decision for each, and the rows say what is needed from here on.
        attribution = replace(attribution, decisions=())
        yield Attempt(policy.loaded, outcome, window, attribution, denials, policy.drift)


def _by_command(
    denials: ClassifiedDenials, base: BasePolicy, candidates: Sequence[CompiledModule]
) -> ClassifiedDenials:
    """Distinguish the commands of denied ioctls as the policy does; it is read only if it has the rules."""
    if not any(row.denial.commands for row in denials.rows) or not has_extended_rules(base, candidates):
        return denials
    return by_command(denials, PolicyIndex.of(base, candidates))


def _hidden_denials(context: RunContext, before: ClassifiedDenials) -> tuple[ClassifiedDenial, ...]:
    """Return the denials that dontaudit rules hide: run once more without these rules, then restore them."""
    seen = {key for row in before.rows for key in row.denial.keys}
    with context.progress.step("Running once more with dontaudit rules off", "dontaudit"):
        try:
            with _attempt(context, dontaudit=False, seen=seen) as attempt:
                return attempt.denials.rows
        finally:
            restore_dontaudit(context)


def _without(decisions: Iterable[AvcDenial], seen: Collection[DenialKey]) -> Iterator[AvcDenial]:
    """Yield the decisions without the denials that are `seen`."""
    for avc in decisions:
        permissions = tuple(
            key.permission
            for key in avc.keys
            if key not in seen and key._replace(command=as_hex(avc.command_of(key.permission))) not in seen
        )
        if permissions == avc.permissions:
            yield avc
        elif permissions:
            yield replace(avc, permissions=permissions)


def _attribute(context: RunContext, loaded: LoadedPolicy, outcome: Outcome, window: Window) -> Attribution:
    """Attribute the window's denials, and conclude the outcome, of which they may be the only trace."""
    attribution = attribute(window.lines, scope_of(context, loaded))
    if window.problems:
        outcome.conclude(context.runtime, frozenset())
    else:
        outcome.conclude(context.runtime, attribution.ran_as, attribution.refused_entries)
    return attribution


def scope_of(context: RunContext, loaded: LoadedPolicy) -> Scope:
    """Return what distinguishes the run from everything else in the guest."""
    parties = (Party(each.label.type, each.label.level, each.title) for each in context.containers)
    return Scope(tuple(parties), loaded.types)


def _notes(context: RunContext, attempt: Attempt, expected: BasePolicy | None) -> list[str]:
    """Return what the user should know in addition to the verdict's reasons."""
    notes = []
    facts = context.base.facts
    if (
        expected
        and expected.facts.without == facts.without
        and expected.facts.fingerprint != facts.fingerprint
    ):
        notes.append("The guest's policy store has changed since the last run.")
    notes += drift.in_words(attempt.drift, context.runtime.settings)
    notes += [*attempt.loaded.notes, *attempt.outcome.notes]
    notes += _shared_levels(context.containers)
    notes += [note for module in context.plan.modules for note in sources_of_templates(module)]
    notes += [
        f"The guest's own module '{name}' is not in force: the candidate replaces it."
        for name in facts.replaced
    ]
    notes += [f"The linked policy contains nothing of the guest's {name}." for name in context.base.left_out]
    notes += [
        f"No file in the guest was labelled by '{pattern}', which is too wide for a run."
        for pattern in context.contexts.too_wide
    ]
    notes += [
        f"'{pattern}' labels no file: the guest looks up this path as another one. Write {path} instead."
        for pattern, path in never_matching(context.base, context.contexts)
    ]
    return notes


def _shared_levels(containers: Sequence[LabelledContainer]) -> list[str]:
    """Return a note for each level of several containers, between which MCS then forbids nothing."""
    titles: dict[str, list[str]] = {}
    for each in containers:
        titles.setdefault(each.label.level, []).append(each.title)
    return [
        f"MCS does not keep {', '.join(names)} apart: they share the level {level}."
        for level, names in titles.items()
        if len(names) > 1
    ]


def _judge(plan: Plan, attempt: Attempt) -> tuple[Verdict, tuple[str, ...]]:
    outcome, window, attribution = attempt.outcome, attempt.window, attempt.attribution
    permissive = plan.mode is Mode.PERMISSIVE
    doubts = [*outcome.doubts, *window.problems, *attribution.doubts]
    if not window.problems and window.enforcing is permissive:
        doubts.append(f"the guest was not {'permissive' if permissive else 'enforcing'} when the run ended")
    evidence = Evidence(doubts, outcome.failures, attempt.denials, attribution.errors, outcome.reservations)
    return judge(evidence)
