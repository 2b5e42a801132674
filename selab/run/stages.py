"""The stages of an attempt. Each context manager undoes after its block what it did in the guest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from selab.auditlog.windows import OpenWindow, Window, close_window, open_window, release
from selab.container.group import NotReady, running
from selab.container.lifecycle import ContainerRefused, Running, Setup
from selab.container.removal import await_earlier_removal, await_removal
from selab.container.steps import logs, run_steps
from selab.container.workload import LabelledContainer
from selab.guest import Answers, Query, query_all
from selab.host.cache import cache_dir
from selab.policy.candidate import LoadedPolicy, WantedPolicy, linked_file
from selab.policy.guest import drift
from selab.policy.guest.load import ANY, load_base
from selab.policy.guest.mode import renewed, restore_mode, switch_mode
from selab.policy.guest.relabel import label_files, restore_labels
from selab.policy.query.decide import can_decide
from selab.policy.survey import same_store
from selab.run.context import RunContext
from selab.run.outcome import ContainerOutcome, Outcome
from selab.run.recovery import verify_login
from selab.run.replay import replay
from selab.scenario.consistency import titles_that_may_end
from selab.service.lifecycle import ServiceRefused, restore_services


@dataclass
class GuestMode:
    """Whether the guest's mode from before the run has been restored already."""

    restored: bool = False


@dataclass(frozen=True)
class PolicyInForce:
    """What the guest is like when the workload starts.

    loaded: the policy in force, proven.
    window: the audit window, which was opened before the access vector cache was flushed.
    drift: what was changed in the guest by hand since the last run.
    """

    loaded: LoadedPolicy
    window: OpenWindow
    drift: frozenset[str]


@contextlib.contextmanager
def services_restored(context: RunContext) -> Iterator[None]:
    """Start the units again after the block that were active before it, unless the services are to remain.

    The labels of their files, the policy and the mode must be restored by then.
    """
    try:
        yield
    finally:
        if context.has_service and not context.plan.request.keep:
            restore_services().of(context.guest)


@contextlib.contextmanager
def base_policy_restored(context: RunContext) -> Iterator[None]:
    """Load the base policy after the block, unless the candidate may stay in force.

    It may not stay on a host that selab does not manage. Nor may a candidate that affects more than its own
    types: a process that logs in under it would have a label that no other policy has.
    """
    may_stay = context.machine.managed or context.plan.request.keep
    replaced = bool(context.side_effect) or not may_stay
    try:
        yield
    finally:
        if replaced:
            load_base().of(context.guest)


@contextlib.contextmanager
def mode_restored(context: RunContext) -> Iterator[GuestMode]:
    """Restore the guest's mode after the block, unless the block has done that."""
    mode = GuestMode()
    try:
        yield mode
    finally:
        if not mode.restored:
            restore_mode().of(context.guest)


@contextlib.contextmanager
def policy_in_force(context: RunContext, *, dontaudit: bool = True) -> Iterator[PolicyInForce]:
    """Open the audit window and put the policy in force, with the files labelled and the mode switched.

    The window is opened first, because a denial between the flush of the cache and the window's mark would be
    in no window. One round trip does all of this if the policy is in force already.
    """
    policy = context.wanted_policy(dontaudit=dontaudit)
    with contextlib.ExitStack() as undo:
        with context.progress.step("Putting the candidate in force", "policy"):
            switch = _switch_mode(context, policy)
            # While the guest enforces, setfiles may not read the file contexts that it is to apply.
            labels_first = context.enforcing and bool(context.contexts.places)
            at_once = {} if labels_first else {"switch": switch}
            answers = query_all(
                context.guest,
                store=same_store(context.base.facts),
                removed=await_earlier_removal(),
                labels=restore_labels(),
                services=restore_services(),
                drift=drift.changes(context.runtime.settings),
                window=open_window(),
                flushed=policy.flushed(context.requested),
                **at_once,
            )
            opened = undo.enter_context(audit_window(context, answers))
            loaded = _load_unless_in_force(context, policy, answers, at_once)
            labelled = undo.enter_context(labelled_files(context))
            if labels_first:
                switch.of(context.guest)
            _verify_login(context, labelled)
            if loaded.loaded and dontaudit:
                report_replay(context, loaded)
            if drift.SETTINGS in answers["drift"] and context.machine.managed:
                context.ensure_runtime()
                drift.settled().of(context.guest)
        yield PolicyInForce(loaded, opened, answers["drift"])


def _switch_mode(context: RunContext, policy: WantedPolicy) -> Query[None]:
    digest = ANY if policy.installed else policy.digest
    return switch_mode(context.enforcing, digest, optional=not context.machine.managed)


@contextlib.contextmanager
def audit_window(context: RunContext, answers: Answers) -> Iterator[OpenWindow]:
    """Release after the block the audit window that the query `window` has opened."""
    opened: OpenWindow = answers["window"]
    try:
        yield opened
    finally:
        release(context.guest, opened)


def _load_unless_in_force(
    context: RunContext, policy: WantedPolicy, answers: Answers, at_once: Mapping[str, Query[None]]
) -> LoadedPolicy:
    """Load `policy` if the query `flushed` found another one in force, and then send `at_once` again."""
    if answers["flushed"]:
        answers.read_all()
        return policy.reused()
    loaded, load = policy.loaded(context.requested, context.progress)
    query_all(context.guest, load=load, **at_once).read_all()
    return loaded


@contextlib.contextmanager
def labelled_files(context: RunContext) -> Iterator[bool]:
    """Apply the candidates' file contexts to the guest's files during the block. Yields whether any apply."""
    labelled = True  # also if labelling breaks off half-way
    try:
        labelled = label_files(context.guest, context.contexts)
        if labelled:
            places = ", ".join(context.contexts.places)
            context.progress.note(f"Applied the candidate's file contexts to {places}.")
        yield labelled
    finally:
        if labelled:
            restore_labels().of(context.guest)


def _verify_login(context: RunContext, labelled: bool) -> None:
    """Try a new login if the candidate, while it enforces, may affect logins."""
    if context.enforcing and (context.side_effect or labelled):
        cause = context.side_effect or f"the file contexts for {context.contexts.places[0]}"
        verify_login(context.machine, context.plan.policy, cause, context.progress)


def report_replay(context: RunContext, loaded: LoadedPolicy) -> None:
    """Report what the policy that was just linked would decide about the denials of the last run."""
    records = context.plan.options.earlier_records
    if records and context.tools.on_host and can_decide():
        accesses = records.accesses_of(context.domains[0])
        rulings = records.rulings_for(context.domains[0])
        result = replay(linked_file(context.tools, loaded.digest), accesses, rulings)
        if result.decisions:
            context.progress.note(f"Of the last run, {result.in_words()}.")


def restore_dontaudit(context: RunContext) -> None:
    """Put the policy with its dontaudit rules in force again."""
    policy = context.wanted_policy()
    answers = query_all(context.guest, flushed=policy.flushed(context.requested))
    _load_unless_in_force(context, policy, answers, {})


@contextlib.contextmanager
def guard_renewed(context: RunContext) -> Iterator[None]:
    """Keep the guard in the guest from acting during the block, if the guest enforces."""
    with renewed(context.guest) if context.enforcing else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def containers_removed(context: RunContext, mode: GuestMode) -> Iterator[None]:
    """Wait after the block until the containers that it has ended are removed.

    The guest's mode is restored only then, in the same round trip, because the runtime is to remove them in
    the mode of the run.
    """
    containers = [each for each in context.containers if each.image]
    try:
        yield
    finally:
        if containers and not context.plan.request.keep:
            with context.progress.step(f"Removing the {_noun(containers)}", "remove"):
                query_all(context.guest, removed=await_removal(), mode=restore_mode()).read_all()
                mode.restored = True


def workload(context: RunContext) -> Outcome:
    """Run the workload and the steps. What does not start is an outcome, not an error."""
    outcome, options = outcome_of(context), context.plan.options
    containers: dict[str, Running] = {}
    try:
        with _running(context, containers):
            if options.before_steps:
                options.before_steps(context.base)
            with context.progress.step("Doing the steps", "steps"):
                for result in run_steps(
                    context.guest, context.plan.scenario, containers, context.project.root
                ):
                    outcome.steps.append(result)
            if options.after_steps:
                options.after_steps()
            if not all(step.ok for step in outcome.steps):
                outcome.log = logs(context.guest, containers)
    except ContainerRefused as refused:
        lines = refused.output.strip().splitlines()
        reason = lines[-1] if lines else "the container runtime gave no reason"
        outcome.refuse(refused.title, f"did not start: {reason}", containers)
    except ServiceRefused as refused:
        outcome.refuse(refused.title, f"did not start: {refused.reason}", containers)
    except NotReady as missing:
        outcome.refuse(missing.title, missing.reason, containers)
        outcome.log = missing.log
    outcome.observed(containers)
    return outcome


def outcome_of(context: RunContext) -> Outcome:
    """Return the outcome of a run that has not started its containers."""
    scenario = context.plan.scenario
    titles = titles_that_may_end(scenario.members, scenario.steps)
    return Outcome(
        [
            ContainerOutcome(each.label, each.title, each.title in titles, each.unit)
            for each in context.containers
        ]
    )


@contextlib.contextmanager
def _running(context: RunContext, containers: dict[str, Running]) -> Iterator[None]:
    """Run the scenario's workload during the block, and add its parts to `containers` by their names."""
    setup = Setup(
        context.guest,
        context.project.root,
        cache_dir(),
        context.progress,
        context.ensure_runtime,
        context.online,
    )
    noun = _noun(context.containers)
    with contextlib.ExitStack() as undo:
        with context.progress.step(f"Starting the {noun}", "container"):
            undo.enter_context(running(setup, context.workload, containers, keep=context.plan.request.keep))
        yield
        with context.progress.step(f"Ending the {noun}", "end"):
            undo.close()


def _noun(containers: Iterable[LabelledContainer]) -> str:
    """Return what `containers` are, as progress names it."""
    kinds = ["service" if each.unit else "container" for each in containers]
    words = [f"{kind}{'s' if kinds.count(kind) > 1 else ''}" for kind in dict.fromkeys(sorted(kinds))]
    return " and ".join(words)


def read_window(context: RunContext, opened: OpenWindow) -> Window:
    """Close the audit window and read it."""
    with context.progress.step("Reading the audit window", "audit"):
        return close_window(opened).of(context.guest)
