"""A scenario as the user wrote it: a container workload with its label, steps and expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import PrivateAttr

from selab.host.tables import RUNTIMES, table
from selab.host.yamlfile import UserModel
from selab.scenario.container import Label, Port, Volume
from selab.scenario.expect import Expect
from selab.scenario.fields import Identifier, Reference, Text, Word
from selab.scenario.steps import Step

STANDARD_RUNTIME = next(name for name, fields in table(RUNTIMES).items() if fields["standard"])
"""The container runtime that every VM has, and that runs a scenario that names none."""
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(table(RUNTIMES))]


class Scenario(UserModel):
    """A scenario file.

    description: what the scenario does.
    policy: name of the candidate, or `none` for the base policy's own container domain.
    image: directory below images/, or an image reference.
    runtime: container runtime in the guest.
    label: SELinux label of the container's processes.
    command: command of the container; by default the image's own.
    ports: published ports.
    volumes: mounted directories.
    cap_add: capabilities to add.
    cap_drop: capabilities to remove.
    user: user in the container; by default the image's own.
    environment: environment variables.
    read_only: whether the container's root file system is read-only.
    steps: steps to execute, in order.
    expect: expected denials.
    """

    description: Text = ""
    policy: Identifier = "none"
    image: Reference
    runtime: RuntimeName = STANDARD_RUNTIME
    label: Label = Label()
    command: tuple[Text, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    cap_add: tuple[Identifier, ...] = ()
    cap_drop: tuple[Identifier, ...] = ()
    user: Word | None = None
    environment: dict[Identifier, Text] = {}
    read_only: bool = False
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Return the file's name without its ending."""
        return self._name

    def as_written(self) -> dict[str, Any]:
        """Return the scenario as plain data, for the history."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
