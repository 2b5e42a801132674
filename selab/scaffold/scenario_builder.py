"""Build a scenario of one or several containers from untrusted input."""

from __future__ import annotations

import contextlib
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
    names: names of the containers, by the names that they have in the source.
    data: keys of the scenario besides its containers, each accepted by the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, ContainerBuilder] = {}
        self.names: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self._taken_ports = {SSH}

    def container(self, name: str) -> ContainerBuilder:
        """Add a container, whose name is as similar to `name` as a scenario allows."""
        builder = ContainerBuilder(self._taken_ports)
        self.names[name] = free_name(name, self.containers)
        self.containers[self.names[name]] = builder
        return builder

    @property
    def is_single(self) -> bool:
        return len(self.containers) == 1

    @property
    def only(self) -> ContainerBuilder:
        """Return the single container."""
        (builder,) = self.containers.values()
        return builder

    @property
    def general(self) -> Remarks:
        """Return where to list what concerns no container in particular."""
        return self.only if self.is_single else self

    def describe(self, text: str) -> None:
        """Set the description, unless a scenario cannot have the text."""
        with self.trying("its name"):
            Scenario.model_validate({"image": "x", "description": text})
            self.data["description"] = text

    def as_data(self) -> dict[str, Any]:
        """Return the scenario so far, with some image for containers that have none yet."""
        containers = {name: {"image": "x", **builder.data} for name, builder in self.containers.items()}
        return self.data | (next(iter(containers.values())) if self.is_single else {"containers": containers})

    def relate(self, name: str, key: str, value: Any) -> None:
        """Set a key of a container that concerns others. Raises ValueError if the scenario cannot have it."""
        builder = self.containers[name]
        before = builder.data
        builder.data = {**before, key: value}
        try:
            Scenario.model_validate(self.as_data())
        except ValueError:
            builder.data = before
            raise

    def wait(self, name: str, other: str, condition: str) -> None:
        """Let a container start after another one. Raises ValueError if they would wait for each other."""
        self.relate(name, "after", {**self.containers[name].data.get("after", {}), other: condition})

    def mark_init(self) -> None:
        """Mark the containers as `init` after whose end all others start."""
        for name in self.containers:
            before = {other: self._starts_after(other) for other in self.containers if other != name}
            if all(name in names or self._is_init(other) for other, names in before.items()) and any(
                self.containers[other].data.get("after", {}).get(name) == "exited" for other in before
            ):
                with contextlib.suppress(ValueError):  # It waits for another kind of container.
                    self.relate(name, "init", value=True)

    def _is_init(self, name: str) -> bool:
        return bool(self.containers[name].data.get("init"))

    def _starts_after(self, name: str) -> set[str]:
        """Return the containers that a container waits for, also through others."""
        names: set[str] = set()
        following = [name]
        while following:
            new = set(self.containers[following.pop()].data.get("after", {})) - names
            names |= new
            following += new
        return names

    @property
    def ending(self) -> set[str]:
        """Return the names of the containers that end before the steps."""
        waited = {
            other
            for builder in self.containers.values()
            for other, condition in builder.data.get("after", {}).items()
            if condition == "exited"
        }
        return waited | {name for name in self.containers if self._is_init(name)}

    def share_namespaces(self, names: Collection[str], kinds: Collection[str]) -> None:
        """Let the containers `names` share the namespaces `kinds` as a pod, unless one uses another's."""
        for name in names if len(names) > 1 else ():
            for kind in kinds:
                if kind not in self.containers[name].data:
                    with self.containers[name].trying(f"the {kind} namespace of the pod"):
                        self.relate(name, kind, "pod")

    def share_volumes(self) -> None:
        """Make a named volume of each one that has a name, and of each directory with several mounts."""
        mounts: dict[str, list[tuple[ContainerBuilder, int]]] = {}
        for builder in self.containers.values():
            for number, origin in enumerate(builder.origins):
                if origin:
                    mounts.setdefault(origin, []).append((builder, number))
        for origin, places in mounts.items():
            if not origin.startswith("/") or len(places) > 1:
                self._share(origin, places)

    def _share(self, origin: str, places: list[tuple[ContainerBuilder, int]]) -> None:
        volumes = [builder.data["volumes"][number] for builder, number in places]
        named = self.data.setdefault("named_volumes", {})
        name = free_name(origin.rpartition("/")[2], named)
        named[name] = {"source": source} if (source := volumes[0].get("source")) else {}
        for (builder, number), volume in zip(places, volumes, strict=True):
            read_only = {"read_only": True} if volume.get("read_only") else {}
            builder.data["volumes"][number] = {"name": name, "target": volume["target"], **read_only}
        labels = {volume.get("label", "") for volume in volumes} - {""}
        if labels:
            named[name]["label"] = "shared" if len(labels) > 1 else labels.pop()
        try:
            Scenario.model_validate(self.as_data())
        except ValueError:
            named[name]["label"] = "shared"
        if named[name].get("label") == "shared" and any(each.get("label") == "private" for each in volumes):
            self.leave(f"the label of the volume {name}", "it is shared, because several containers mount it")

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
