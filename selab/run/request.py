"""What the user asked for, how the run is made, and the plan, which is validated before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from selab.container.image import Image, find_image
from selab.policy.base import BasePolicy
from selab.policy.guest.load import Mode
from selab.policy.module import PolicyModule, load_module
from selab.policy.on_base import on_base
from selab.project import Project
from selab.run.replay import Recorded
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
class Plan:
    """What will be run.

    request: what the user asked for.
    scenario: the scenario, validated.
    image: the scenario's image.
    module: the candidate, or None for the base policy alone.
    options: how the run is made.
    """

    request: Request
    scenario: Scenario
    image: Image
    module: PolicyModule | None
    options: RunOptions = DEFAULT_OPTIONS

    @property
    def mode(self) -> Mode:
        return self.request.mode

    @property
    def policy(self) -> str:
        """The candidate's name, or `none`."""
        return self.module.name if self.module else NO_POLICY

    def on(self, base: BasePolicy) -> Plan:
        """Return the plan with the templates that its candidate uses on the base policy."""
        return replace(self, module=on_base(self.module, base)) if self.module else self


def make_plan(project: Project, request: Request, options: RunOptions = DEFAULT_OPTIONS) -> Plan:
    """Read and validate everything that the user wrote, before anything changes. Raises InputError."""
    scenario = load_scenario(project, request.scenario)
    image = find_image(project, scenario.image)
    name = request.policy or scenario.policy
    module = None if name == NO_POLICY else load_module(project, name)
    return Plan(request, scenario, image, module, options)
