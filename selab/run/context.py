"""What a run works with: base policy, compiled candidate, label. Nothing here changes the guest."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from selab.container.label import (
    SERVICE_LEVEL,
    ContainerLabel,
    random_level,
    runtime_default_type,
    runtime_file_type,
)
from selab.container.runtime import Runtime, runtimes
from selab.container.workload import LabelledContainer, Workload, workload_name
from selab.errors import InputError
from selab.guest import Guest
from selab.host.cache import cache_dir
from selab.host.local import LocalHost
from selab.machine import Machine
from selab.policy.base import BasePolicy, base_without, ensure_base
from selab.policy.candidate import WantedPolicy, compiled_all, linked, require_type
from selab.policy.compile import CompiledModule
from selab.policy.contexts import FileContexts, file_contexts
from selab.policy.guest.load import Mode
from selab.policy.guest_templates import concerns_guest
from selab.policy.query.side_effects import beyond_its_own
from selab.policy.survey import StoreChanged, keep_facts, survey
from selab.policy.toolchain import Toolchain, choose_toolchain, missing_on_host
from selab.progress import Progress
from selab.project import Project
from selab.run.request import Plan, PlannedContainer
from selab.scenario.container import Container
from selab.service.packages import ensure_packages


@dataclass(frozen=True)
class RunContext:
    """Everything that a run works with. Nothing in it changes during the run.

    guest: the connection to the guest.
    machine: the machine that provides the guest.
    project: the user's project.
    plan: what will be run, with the templates that the candidate uses on the base policy.
    progress: where the stages report.
    base: the guest's base policy, without the candidate.
    tools: the compiler and the linker.
    candidates: the candidates and the modules that they require, as CIL.
    containers: the containers and services in the order of their start, each with its label.
    contexts: the candidates' file contexts.
    """

    guest: Guest
    machine: Machine
    project: Project
    plan: Plan
    progress: Progress
    base: BasePolicy
    tools: Toolchain
    candidates: list[CompiledModule]
    containers: tuple[LabelledContainer, ...]
    contexts: FileContexts

    @property
    def workload(self) -> Workload:
        """What the run starts."""
        return Workload(
            workload_name(self.plan.scenario.name),
            self.runtime,
            self.containers,
            self.plan.scenario.named_volumes,
            self.contexts,
            runtime_file_type(self.base.directory / "contexts"),
        )

    @property
    def has_service(self) -> bool:
        """Whether the run starts a service of the guest."""
        return any(each.spec.service for each in self.containers)

    def ensure_packages(self) -> None:
        """Install the packages of the scenario's services in the guest, if it lacks any."""
        services = (each.spec.service for each in self.containers)
        packages = dict.fromkeys(name for service in services if service for name in service.packages)
        managed = self.machine.managed
        ensure_packages(self.guest, [*packages], self.progress, self.online, managed=managed)

    @property
    def domains(self) -> list[str]:
        """The types of the containers' processes."""
        return list(dict.fromkeys(each.label.type for each in self.containers))

    @property
    def requested(self) -> list[str]:
        """The contexts that the containers' processes should have."""
        return list(dict.fromkeys(each.label.context for each in self.containers))

    @property
    def runtime(self) -> Runtime:
        """The scenario's container runtime."""
        return runtimes()[self.plan.scenario.runtime]

    @property
    def enforcing(self) -> bool:
        """Whether the guest enforces during the run."""
        return self.plan.mode is not Mode.PERMISSIVE

    @functools.cached_property
    def side_effect(self) -> str:
        """The first statement by which the candidates affect more than their own types, or "" if none."""
        return beyond_its_own(self.candidates)

    def wanted_policy(self, *, dontaudit: bool = True) -> WantedPolicy:
        """The policy that is to be in force."""
        permissive = tuple(self.domains) if self.plan.mode is Mode.DOMAIN else ()
        installed = self.plan.options.installed
        return WantedPolicy(self.base, self.candidates, self.tools, permissive, dontaudit, installed)

    def ensure_runtime(self) -> None:
        """Install and configure the scenario's container runtime in the guest, if the guest lacks that."""
        self.machine.ensure_runtime(self.guest, self.plan.scenario.runtime, self.progress)

    def online(self) -> AbstractContextManager[None]:
        """Return a context in which the guest can download."""
        return self.machine.online(self.guest, self.progress)


@contextlib.contextmanager
def precompile(project: Project, plan: Plan, progress: Progress) -> Iterator[None]:
    """Compile the candidates before the block, and link them in a thread while the block runs.

    selab thus reports a mistake in the candidate before it contacts any machine, unless it is in a template
    of the guest, which may have been repaired. Both results are cached, and
    `prepare` finds them there if the guest has the base policy that the last run had.
    """
    base = _expected(project, plan, plan.options.expected_base) or plan.options.expected_base
    if base is None or missing_on_host(base.demands):
        yield
        return
    tools = Toolchain(LocalHost(), str(project.own_directory("policy")))
    candidates: list[CompiledModule] | None = None
    with progress.step("Reading and compiling the candidate"):
        try:
            plan = plan.on(base)
            candidates = _compile(plan, base, tools, project)
        except InputError as error:
            if not concerns_guest(error):
                raise
    if candidates is None:
        yield
        return
    domains = dict.fromkeys(_label_type(each, base) for each in plan.containers)
    permissive = tuple(domains) if plan.mode is Mode.DOMAIN else ()
    with ThreadPoolExecutor(1) as linker:
        linker.submit(linked, base, candidates, tools, permissive=permissive)
        yield


def prepare(
    guest: Guest,
    machine: Machine,
    project: Project,
    plan: Plan,
    progress: Progress,
    expected: BasePolicy | None = None,
) -> RunContext:
    """Prepare what a run works with, and install the packages of its services.

    The base policy is the `expected` one if there is one, and the first round trip of the run proves that the
    guest has it. Otherwise selab asks the guest for its base policy. Raises StoreChanged if a template of the
    `expected` one is wrong.
    """
    with progress.step("Compiling the candidate", "compile"):
        tools = choose_toolchain(guest, project.own_directory("policy"))
        base = _base_policy(guest, project, plan, tools, progress, expected)
        tools = choose_toolchain(guest, project.own_directory("policy"), base.demands)
        try:
            plan = plan.on(base)
            candidates = _compile(plan, base, tools, project)
        except InputError as error:
            if expected and concerns_guest(error):
                # Only another survey shows whether the guest still has this template.
                raise StoreChanged(error.what, error.detail, error.hint) from error
            raise
    containers = _labelled(plan, base)
    for container in containers:
        require_type(container.label.type, candidates, base)
    contexts = file_contexts(base, candidates)
    run = RunContext(guest, machine, project, plan, progress, base, tools, candidates, containers, contexts)
    run.ensure_packages()
    return run


def _labelled(plan: Plan, base: BasePolicy) -> tuple[LabelledContainer, ...]:
    """Give each container its label, with levels that no two of them share by chance."""
    name, wide = workload_name(plan.scenario.name), plan.scenario.level
    levels = [_given_level(each.spec, wide) for each in plan.containers]
    drawn = _drawn(1 if wide == "scenario" else levels.count(""))
    containers = []
    for each, given in zip(plan.containers, levels, strict=True):
        level = given or (drawn[0] if wide == "scenario" else drawn.pop())
        label = ContainerLabel(_label_type(each, base), level, at_random=not given)
        own = f"{name}-{each.title}" if each.title else name
        containers.append(LabelledContainer(own, each.title, each.spec, each.image, label))
    return tuple(containers)


def _given_level(spec: Container, wide: str) -> str:
    """Return the level that the scenario gives to a container, or "" if it is to be drawn.

    The policy's transition gives a service its level, which without a range transition is systemd's own.
    """
    if spec.label.level or spec.service:
        return spec.label.level or SERVICE_LEVEL
    return wide if wide not in ("container", "scenario") else ""


def _base_policy(
    guest: Guest,
    project: Project,
    plan: Plan,
    tools: Toolchain,
    progress: Progress,
    expected: BasePolicy | None,
) -> BasePolicy:
    """Return the base policy, without the candidate unless the run is to prove an installed candidate."""
    if base := _expected(project, plan, expected):
        return base
    base = ensure_base(guest, survey(_left_out(plan)).of(guest), tools, cache_dir(), progress)
    keep_facts(base.facts, project.store)
    return base


def _expected(project: Project, plan: Plan, base: BasePolicy | None) -> BasePolicy | None:
    """Return `base`, or the base policy that the last run of the plan's candidate had.

    It is None if `base` is, or if no run of this candidate is known.
    """
    if base is None or base.facts.without == _left_out(plan):
        return base
    return base_without(_left_out(plan), cache_dir(), project.store)


def _drawn(count: int) -> list[str]:
    """Return random levels, all different."""
    levels: dict[str, None] = {}
    while len(levels) < count:
        levels[random_level()] = None
    return list(levels)


def _left_out(plan: Plan) -> tuple[str, ...]:
    """Return the names of the modules that the base policy must not contain."""
    if plan.options.installed:
        return ()
    return tuple(sorted({name for module in plan.modules for name in module.replaced}))


def _compile(plan: Plan, base: BasePolicy, tools: Toolchain, project: Project) -> list[CompiledModule]:
    return compiled_all(plan.modules, base, tools, project.own_directory("compiled"))


def _label_type(container: PlannedContainer, base: BasePolicy) -> str:
    """Return the scenario's type, or the candidate's domain, or the base policy's type for containers."""
    module = container.module
    own = module.domain if module else runtime_default_type(base.directory / "contexts")
    return container.spec.label.type or own
