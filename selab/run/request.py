"""What the user asked for, and what will be run of it: everything they wrote, read and validated before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from selab.container.image import Image, find_image
from selab.policy.base import BasePolicy
from selab.policy.guest.load import Mode
from selab.policy.module import PolicyModule, load_module
from selab.project import Project
from selab.run.replay import Recorded
from selab.scenario import Scenario, load_scenario

NO_POLICY = "none"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    `policy` is a name, `none` for the base policy alone, or nothing for the scenario's own. `beside` is called after the steps, while the
    container still runs; `meanwhile` before them, with the base policy, and is not to take long. `before` are the records of an earlier
    run, of which a changed candidate is asked first; `base` is the base policy of the run before, with which the candidate is compiled
    and linked while the VM is being reached. `installed`: the candidate is in the guest's module store already, and the policy of the
    store is what is to be proven.
    """

    scenario: str
    policy: str | None = None
    mode: Mode = Mode.ENFORCING
    keep: bool = False
    beside: Callable[[], None] | None = None
    meanwhile: Callable[[BasePolicy], None] | None = None
    before: Recorded | None = None
    base: BasePolicy | None = None
    installed: bool = False


@dataclass(frozen=True)
class Plan:
    """What will be run, read and validated before anything is changed."""

    request: Request
    scenario: Scenario
    image: Image
    module: PolicyModule | None

    @property
    def mode(self) -> Mode:
        return self.request.mode

    @property
    def policy(self) -> str:
        return self.module.name if self.module else NO_POLICY


def plan(project: Project, request: Request) -> Plan:
    """Read and validate everything that the user wrote. Raises InputError; nothing has been changed by then."""
    scenario = load_scenario(project, request.scenario)
    image = find_image(project, scenario.image)
    name = request.policy or scenario.policy
    module = None if name == NO_POLICY else load_module(project, name)
    return Plan(request, scenario, image, module)
