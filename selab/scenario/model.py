"""A scenario as the user wrote it: containers or services with their labels, steps and expectations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from selab.host.tables import RUNTIMES, table
from selab.scenario.consistency import check_containers
from selab.scenario.container import Container, Member, NamedVolume
from selab.scenario.expect import Expect
from selab.scenario.fields import Level, Name, Text
from selab.scenario.steps import Step

STANDARD_RUNTIME = next(name for name, fields in table(RUNTIMES).items() if fields["standard"])
"""The container runtime that every VM has, and that runs a scenario that names none."""
MOST_CONTAINERS = 16
"""Containers of a scenario: an emulated guest starts each in some seconds."""
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(table(RUNTIMES))]


class Scenario(Container):
    """A scenario file. It describes one container or service, or several under `containers`.

    description: what the scenario does.
    runtime: container runtime in the guest.
    containers: several containers and services by name, in the place of the keys of a single one.
    named_volumes: volumes by name that several containers can mount.
    level: MCS level: a pair of random categories for each `container`, one pair for the whole `scenario` as a
        pod has it, or the level that is given here. A container's own `label` has precedence.
    steps: steps to execute, in order.
    expect: expected denials.
    """

    description: Text = ""
    runtime: RuntimeName = STANDARD_RUNTIME
    containers: Annotated[dict[Name, Member], Field(max_length=MOST_CONTAINERS)] = {}
    named_volumes: dict[Name, NamedVolume] = {}
    level: Level | Literal["container", "scenario"] = "container"
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
    _name: str = PrivateAttr(default="")

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [key]} for key in ("image", "service", "containers")]}
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Scenario:
        if self.containers:
            own = sorted(self.model_fields_set & Container.model_fields.keys())
            if own:
                raise ValueError(f"with `containers`, `{own[0]}` belongs below the name of a container")
        elif self.image is None and self.service is None:
            raise ValueError("`image` is required, or `service`, or `containers`")
        check_containers(self.members, self.named_volumes, self.steps, self.level)
        return self

    @property
    def name(self) -> str:
        """Return the file's name without its ending."""
        return self._name

    @property
    def members(self) -> Mapping[str, Container]:
        """Return the containers by name, in the order of the file; the name of a single one is empty."""
        return self.containers or {"": self}

    def as_written(self) -> dict[str, Any]:
        """Return the scenario as plain data, for the history."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
