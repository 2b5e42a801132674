"""What the user asked for, how the run is made, and the plan, which is validated before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from selab.container.image import Image, find_image
from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.guest.load import Mode
from selab.policy.module import PolicyModule, load_module
from selab.policy.on_base import on_base
from selab.project import Project
from selab.run.replay import Recorded
from selab.scenario.consistency import start_order
from selab.scenario.container import Container
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario

NO_POLICY = "none"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    scenario: the scenario's name.
    policy: the candidate's name, `none` for the base policy alone, or None for the scenario's own candidate.
    mode: how SELinux enforces the policy during the run.
    keep: whether the container stays in the guest after the run.
    """

    scenario: str
    policy: str | None = None
    mode: Mode = Mode.ENFORCING
    keep: bool = False


@dataclass(frozen=True)
class RunOptions:
    """How a run is made: hooks, and what is known from earlier runs.

    before_steps: called with the base policy when the container has started. It must return quickly.
    after_steps: called after the steps, while the container still runs.
    earlier_records: the records of an earlier run. selab reports what a newly linked candidate decides
        about them.
    expected_base: the base policy of the last run. The candidate is compiled and linked with it while selab
        connects to the guest.
    installed: whether the candidate is in the guest's module store already. The run then proves the policy of
        the store.
    """

    before_steps: Callable[[BasePolicy], None] | None = None
    after_steps: Callable[[], None] | None = None
    earlier_records: Recorded | None = None
    expected_base: BasePolicy | None = None
    installed: bool = False


DEFAULT_OPTIONS = RunOptions()


@dataclass(frozen=True)
class PlannedContainer:
    """A container, or a service in its place, that will be run.

    title: its name in the scenario; empty if it is the only one.
    spec: what the scenario says about it.
    image: its image, or None for a service.
    module: its candidate, or None for the base policy alone.
    """

    title: str
    spec: Container
    image: Image | None
    module: PolicyModule | None


@dataclass(frozen=True)
class Plan:
    """What will be run.

    request: what the user asked for.
    scenario: the scenario, validated.
    containers: its containers, in the order of their start.
    options: how the run is made.
    """

    request: Request
    scenario: Scenario
    containers: tuple[PlannedContainer, ...]
    options: RunOptions = DEFAULT_OPTIONS

    @property
    def mode(self) -> Mode:
        return self.request.mode

    @property
    def modules(self) -> tuple[PolicyModule, ...]:
        """The candidates, in the order of the containers; several containers may have the same one."""
        return tuple({each.module.name: each.module for each in self.containers if each.module}.values())

    @property
    def policy(self) -> str:
        """The candidates' names, or `none`."""
        return ", ".join(module.name for module in self.modules) or NO_POLICY

    def on(self, base: BasePolicy) -> Plan:
        """Return the plan with the templates that its candidates use on the base policy."""
        modules = {module.name: on_base(module, base) for module in self.modules}
        containers = (
            replace(each, module=modules[each.module.name]) if each.module else each
            for each in self.containers
        )
        return replace(self, containers=tuple(containers))


def make_plan(project: Project, request: Request, options: RunOptions = DEFAULT_OPTIONS) -> Plan:
    """Read and validate everything that the user wrote, before anything changes. Raises InputError."""
    scenario = load_scenario(project, request.scenario)
    members = scenario.members
    if request.policy not in (None, NO_POLICY) and len(members) > 1:
        raise InputError(
            f"'{request.policy}' cannot be the policy of {len(members)} containers.",
            f"The scenario '{scenario.name}' has {', '.join(members)}.",
            "Write the `policy` of each into the scenario; `--policy none` runs all without a candidate.",
        )
    images = {
        name: find_image(project, member.image) if member.image else None for name, member in members.items()
    }
    policies = {name: request.policy or member.policy for name, member in members.items()}
    for name, member in members.items():
        if member.service and policies[name] == NO_POLICY and not member.label.type:
            raise InputError(
                f"The scenario '{scenario.name}' names no domain for the service '{name or scenario.name}'.",
                "Only a candidate, by its name, says which domain a service has by default.",
                "Write the service's `label: {type: ...}` into the scenario, or its `policy`.",
            )
    modules = {name: load_module(project, name) for name in {*policies.values()} - {NO_POLICY}}
    containers = (
        PlannedContainer(name, members[name], images[name], modules.get(policies[name]))
        for name in start_order(members)
    )
    return Plan(request, scenario, tuple(containers), options)
