"""Build a scenario of one or several containers from untrusted input."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from selab.scaffold.container_builder import SSH, ContainerBuilder
from selab.scaffold.remarks import Remarks
from selab.scenario.model import Scenario

_LONGEST_NAME = 32


class ScenarioBuilder(Remarks):
    """Collects the containers of a scenario.

    containers: their builders by name, in the order of the source. A single one is written without its name.
    data: keys of the scenario besides its containers, each accepted by the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, ContainerBuilder] = {}
        self.data: dict[str, Any] = {}
        self._taken_ports = {SSH}

    def container(self, name: str) -> ContainerBuilder:
        """Add a container, whose name is as similar to `name` as a scenario allows."""
        builder = ContainerBuilder(self._taken_ports)
        self.containers[free_name(name, self.containers)] = builder
        return builder

    @property
    def is_single(self) -> bool:
        return len(self.containers) == 1

    @property
    def only(self) -> ContainerBuilder:
        """Return the single container."""
        (builder,) = self.containers.values()
        return builder

    def describe(self, text: str) -> None:
        """Set the description, unless a scenario cannot have the text."""
        with self.trying("its name"):
            Scenario.model_validate({"image": "x", "description": text})
            self.data["description"] = text

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return one line for each value that is not carried over, with the name of its container."""
        return (
            *self.left,
            *(
                line if self.is_single else f"{name}: {line}"
                for name, builder in self.containers.items()
                for line in builder.left
            ),
        )


def free_name(text: str, taken: Collection[str]) -> str:
    """Return the name of a container or a volume that is like `text`, and that is not taken."""
    like = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_.-]", "-", text[:_LONGEST_NAME])).lstrip("_.-")
    names = [like or "unnamed", *(f"{like[: _LONGEST_NAME - 4] or 'unnamed'}-{n}" for n in range(2, 1000))]
    return next(name for name in names if name not in taken)
