"""The matrix file: what is run with what, and what each run is expected to end as."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from selab.policy.guest.load import Mode
from selab.project import NAME, BoxName, PolicyName, VmConfig

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GuestSpec(VmConfig):
    """A guest with settings of its own, under a `name`. What is left out is as selab.yaml has it."""

    name: Name

    def over(self, own: VmConfig) -> VmConfig:
        """The settings of its VMs in a project with `own`. A box by name is not the one that `own` has from elsewhere."""
        changed = {field: getattr(self, field) for field in self.model_fields_set - {"name"}}
        elsewhere = {"source": None, "host": None} if "box" in changed else {}
        return own.model_copy(update=elsewhere | changed)


class Selector(_Part):
    """Combinations by what they have in common: those that have each value that is given here."""

    scenario: Name | None = None
    policy: PolicyName | None = None
    mode: Mode | None = None
    guest: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Selector:
        if not any((self.scenario, self.policy, self.mode, self.guest)):
            raise ValueError("needs at least one of scenario, policy, mode, guest")
        return self

    def fits(self, scenario: str, policy: str, mode: Mode, guest: str) -> bool:
        pairs = ((self.scenario, scenario), (self.policy, policy), (self.mode, mode), (self.guest, guest))
        return all(wanted in (None, got) for wanted, got in pairs)

    def __str__(self) -> str:
        return " ".join(str(word) for word in (self.scenario, self.policy, self.mode, self.guest) if word)


class Expected(Selector):
    """Combinations whose runs are to end as `verdict`: a draft is right when it fails. An ERROR is never right."""

    verdict: Literal["pass", "fail"]


class Matrix(_Part):
    """matrix.yaml: every combination of `scenarios`, `policies`, `modes` and `guests`, but those of `exclude`.

    Without `policies`, each scenario has its own; `none` is the base policy alone. A guest is a box, or a `name` with settings; without
    `guests`, it is the VM of selab.yaml. Of `expect`, the first entry that fits a combination counts, and `pass` where none does.
    """

    scenarios: Annotated[tuple[Name, ...], Field(min_length=1)]
    policies: tuple[PolicyName, ...] = ()
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = (Mode.ENFORCING,)
    guests: tuple[BoxName | GuestSpec, ...] = ()
    exclude: tuple[Selector, ...] = ()
    expect: tuple[Expected, ...] = ()

    def settings(self, own: VmConfig) -> dict[str, VmConfig]:
        """The VM settings of each guest, by its name, in a project with `own`."""
        wanted = [guest if isinstance(guest, GuestSpec) else _box(guest, own) for guest in self.guests]
        return {guest.name: guest.over(own) for guest in wanted} or {own.box: own}

    @model_validator(mode="after")
    def _names_are_different(self) -> Matrix:
        names = [guest.name if isinstance(guest, GuestSpec) else guest for guest in self.guests]
        if len(set(names)) < len(names):
            raise ValueError("two guests have the same name")
        return self


def _box(box: BoxName, own: VmConfig) -> GuestSpec:
    """The guest that a box's name stands for: the project's own where that has the same box."""
    return GuestSpec(name=box) if box == own.box else GuestSpec(name=box, box=box)
