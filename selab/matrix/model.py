"""Read the matrix file: what to run, and the expected verdicts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selab.host.yamlfile import UserModel
from selab.policy.guest.load import Mode
from selab.project import NAME, BoxName, GuestSettings, PolicyName, VmConfig

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class GuestSpec(GuestSettings):
    """A guest with its own settings. Other settings are taken from selab.yaml.

    name: name of the guest.
    """

    name: Name

    def over(self, own: VmConfig) -> VmConfig:
        """Return the settings of the guest's VMs in a project with `own`; a named box replaces its source."""
        changed = {field: getattr(self, field) for field in self.model_fields_set - {"name"}}
        elsewhere = {"source": None, "host": None} if "box" in changed else {}
        return own.model_copy(update=elsewhere | changed)


class Selector(UserModel):
    """Selects the combinations that have every given value.

    scenario: name of a scenario.
    policy: name of a policy.
    mode: mode of the run.
    guest: name of a guest.
    """

    scenario: Name | None = None
    policy: PolicyName | None = None
    mode: Mode | None = None
    guest: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Selector:
        if not any((self.scenario, self.policy, self.mode, self.guest)):
            raise ValueError("requires at least one of scenario, policy, mode, guest")
        return self

    def fits(self, scenario: str, policy: str, mode: Mode, guest: str) -> bool:
        pairs = ((self.scenario, scenario), (self.policy, policy), (self.mode, mode), (self.guest, guest))
        return all(expected in (None, got) for expected, got in pairs)

    def __str__(self) -> str:
        return " ".join(str(word) for word in (self.scenario, self.policy, self.mode, self.guest) if word)


class Expected(Selector):
    """Combinations with the verdict that their runs must have: an incomplete policy is expected to fail.

    verdict: expected verdict; an ERROR is never expected.
    """

    verdict: Literal["pass", "fail"]


class Matrix(UserModel):
    """A matrix file, matrix.yaml: the combinations of scenarios, policies, modes and guests.

    scenarios: names of the scenarios.
    policies: names of policies, `none` for the base policy alone; by default each scenario's own policy.
    modes: modes to run in.
    guests: boxes, or guests with their own settings; by default the VM of selab.yaml.
    exclude: combinations to leave out; an entry that matches nothing is an error.
    expect: expected verdicts; the first entry that matches a combination applies, and the default is `pass`.
    """

    scenarios: Annotated[tuple[Name, ...], Field(min_length=1)]
    policies: tuple[PolicyName, ...] = ()
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = (Mode.ENFORCING,)
    guests: tuple[BoxName | GuestSpec, ...] = ()
    exclude: tuple[Selector, ...] = ()
    expect: tuple[Expected, ...] = ()

    def settings(self, own: VmConfig) -> dict[str, VmConfig]:
        """Return the VM settings of each guest by its name, in a project with `own`.

        A guest has a base policy, so `base` does not apply. A change of it must not remove a VM.
        """
        own = own.model_copy(update={"base": ""})
        specs = [guest if isinstance(guest, GuestSpec) else _box(guest, own) for guest in self.guests]
        return {guest.name: guest.over(own) for guest in specs} or {own.box: own}

    @model_validator(mode="after")
    def _names_are_different(self) -> Matrix:
        names = [guest.name if isinstance(guest, GuestSpec) else guest for guest in self.guests]
        if len(set(names)) < len(names):
            raise ValueError("two guests have the same name")
        return self


def _box(box: BoxName, own: VmConfig) -> GuestSpec:
    """Return the guest that a box's name stands for: the project's own guest if it has the same box."""
    return GuestSpec(name=box) if box == own.box else GuestSpec(name=box, box=box)
