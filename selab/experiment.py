"""The way through, on one page: machine, policy, container, audit, verdict."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from selab.audit.attribution import Attribution, Scope, attribute
from selab.audit.window import Window, close_window, open_window
from selab.cache import cache_dir
from selab.container.image import find_image
from selab.container.label import ContainerLabel, random_level, runtime_default_type
from selab.container.run import Container, ContainerRefused, running, see_labels
from selab.container.steps import StepResult, log_tail, run_steps
from selab.guest import Guest
from selab.lock import vm_lock
from selab.policy.base import BasePolicy, ensure_base, survey
from selab.policy.build import CompiledModule
from selab.policy.candidate import LoadedPolicy, compiled, put_in_force, require_type
from selab.policy.load import Mode, enforcing, policy_state
from selab.policy.module import PolicyModule, load_module
from selab.policy.toolchain import Toolchain, choose_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.scenario import Scenario, load_scenario
from selab.verdict import Evidence, Verdict, judge

NO_POLICY = "none"


class Machine(Protocol):
    """Whatever can have a guest ready: a VM, or a host that the user names."""

    def ensure(self, progress: Progress) -> Guest: ...


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    `policy` is a name, `none` for the base policy alone, or nothing for the scenario's own; `beside` is called after the steps, while the
    container still runs.
    """

    scenario: str
    policy: str | None = None
    mode: Mode = Mode.ENFORCING
    keep: bool = False
    beside: Callable[[], None] | None = None


@dataclass(frozen=True)
class Plan:
    """What will be run, read and validated before anything is changed."""

    scenario: Scenario
    module: PolicyModule | None
    mode: Mode
    keep: bool
    beside: Callable[[], None] | None

    @property
    def policy(self) -> str:
        return self.module.name if self.module else NO_POLICY


@dataclass
class Outcome:
    """What became of the workload, filled in as it goes. `failures` and `doubts` become the verdict's reasons."""

    steps: list[StepResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    labels: frozenset[str] = frozenset()
    log: str = ""


@dataclass(frozen=True)
class Run:
    """One execution of a scenario, with its verdict. `timings` are seconds by stage; `started` is UTC."""

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


def plan(project: Project, request: Request) -> Plan:
    """Read and validate everything that the user wrote. Raises InputError; nothing has been changed by then."""
    scenario = load_scenario(project, request.scenario)
    find_image(project, scenario.image)
    name = request.policy or scenario.policy
    module = None if name == NO_POLICY else load_module(project, name)
    return Plan(scenario, module, request.mode, request.keep, request.beside)


def run(project: Project, machine: Machine, request: Request, progress: Progress) -> Run:
    """Execute a scenario and judge it. Raises SelabError where no run came about."""
    wanted = plan(project, request)
    with vm_lock(project, f"selab run {wanted.scenario.name}", progress):
        with progress.step("Making sure that the VM is up", "vm"):
            guest = machine.ensure(progress)
        return run_on(guest, project, wanted, progress)


def run_on(guest: Guest, project: Project, wanted: Plan, progress: Progress) -> Run:
    """The same in a guest that is ready."""
    started = datetime.datetime.now(datetime.UTC)
    with progress.step("Compiling the candidate", "compile"):
        base, tools = _base_policy(guest, project, progress)
        candidates = _candidates(wanted, base, tools, project)
    label = _label(wanted, base)
    require_type(label.type, candidates, base)
    with contextlib.ExitStack() as undo:
        with progress.step("Putting the candidate in force", "policy"):
            state = policy_state(guest)
            undo.enter_context(enforcing(guest, wanted.mode is not Mode.PERMISSIVE, state.enforcing))
            permissive = label.type if wanted.mode is Mode.DOMAIN else ""
            contexts = [label.context]
            loaded = put_in_force(guest, base, candidates, tools, state, progress, contexts=contexts, permissive=permissive)
        opened = open_window(guest)
        outcome = _workload(guest, project, wanted, label, progress)
        with progress.step("Reading the audit window", "audit"):
            window = close_window(guest, opened)
    attribution = attribute(window.lines, Scope(label.type, label.level, loaded.types))
    verdict, reasons = _judge(wanted, label, outcome, window, attribution)
    timings = {stage: round(seconds, 3) for stage, seconds in progress.timings.items()}
    return Run(
        _run_id(started), wanted, label, loaded, base.facts.fingerprint, outcome, window, attribution, verdict, reasons, started, timings
    )


def _run_id(started: datetime.datetime) -> str:
    return f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _base_policy(guest: Guest, project: Project, progress: Progress) -> tuple[BasePolicy, Toolchain]:
    tools = choose_toolchain(guest, project.state / "policy")
    return ensure_base(guest, survey(guest), tools, cache_dir(), progress), tools


def _candidates(wanted: Plan, base: BasePolicy, tools: Toolchain, project: Project) -> list[CompiledModule]:
    return [compiled(wanted.module, base, tools, project.state / "compiled")] if wanted.module else []


def _label(wanted: Plan, base: BasePolicy) -> ContainerLabel:
    """The scenario's type, or the candidate's NAME_t, or the base policy's own for containers."""
    own = f"{wanted.module.name}_t" if wanted.module else runtime_default_type(base.directory / "contexts")
    return ContainerLabel(wanted.scenario.label.type or own, wanted.scenario.label.level or random_level())


def _workload(guest: Guest, project: Project, wanted: Plan, label: ContainerLabel, progress: Progress) -> Outcome:
    """Run the container and its steps; whatever goes wrong from here on is an outcome of the run."""
    outcome = Outcome()
    try:
        with _container(guest, project, wanted, label, progress) as container:
            with progress.step("Doing the steps", "steps"):
                for result in run_steps(guest, wanted.scenario, container):
                    outcome.steps.append(result)
            if wanted.beside:
                wanted.beside()
            see_labels(guest, container)
            outcome.labels = frozenset(container.labels)
            if not all(step.ok for step in outcome.steps):
                outcome.log = log_tail(guest, container)
    except ContainerRefused as refused:
        outcome.failures.append(
            f"the container did not start: {refused.output.strip().splitlines()[-1] if refused.output.strip() else '?'}"
        )
        return outcome
    outcome.failures += [f"step '{step.name}' failed: {step.detail}" for step in outcome.steps if not step.ok]
    outcome.doubts += label_doubts(label, outcome.labels)
    return outcome


@contextlib.contextmanager
def _container(guest: Guest, project: Project, wanted: Plan, label: ContainerLabel, progress: Progress) -> Iterator[Container]:
    image = find_image(project, wanted.scenario.image)
    with contextlib.ExitStack() as stack:
        with progress.step("Starting the container", "container"):
            manager = running(guest, wanted.scenario, image, label, project.root, cache_dir(), progress, keep=wanted.keep)
            container = stack.enter_context(manager)
        yield container
        with progress.step("Removing the container", "remove"):
            stack.close()


def label_doubts(label: ContainerLabel, seen: frozenset[str]) -> list[str]:
    """Why the processes may not have run under the label that was asked for: by type and level, as the kernel gave them."""
    if not seen:
        return ["the container ended before the label of its processes could be read from the kernel"]
    wanted = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != wanted)
    return [f"a process of the container ran as {other}, not as {label.type}:{label.level}" for other in others]


def _judge(
    wanted: Plan, label: ContainerLabel, outcome: Outcome, window: Window, attribution: Attribution
) -> tuple[Verdict, tuple[str, ...]]:
    doubts = [*outcome.doubts, *window.problems]
    if not window.problems and window.enforcing is not (wanted.mode is not Mode.PERMISSIVE):
        doubts.append(f"the guest was not {'permissive' if wanted.mode is Mode.PERMISSIVE else 'enforcing'} when the run ended")
    evidence = Evidence(doubts, outcome.failures, attribution.scenario, attribution.errors)
    return judge(wanted.scenario.expect, evidence)
