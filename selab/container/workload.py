"""The containers and services that a run starts, each with its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from selab.container.image import Image
from selab.container.label import ContainerLabel
from selab.container.runtime import Runtime
from selab.policy.contexts import FileContexts
from selab.scenario.consistency import is_init, pod_members
from selab.scenario.container import Container as Spec
from selab.scenario.container import NamedVolume
from selab.service.lifecycle import unit_of

NO_CONTEXTS = FileContexts((), "")


def workload_name(scenario: str) -> str:
    """Return what the names of a scenario's containers in the guest begin with."""
    return f"selab-{scenario}"


@dataclass(frozen=True)
class LabelledContainer:
    """A container that a run starts, or a service in its place.

    name: its name in the guest; that of a service if it is a command.
    title: its name in the scenario; empty if it is the only one.
    spec: what the scenario says about it.
    image: its image, or None for a service.
    label: the label that its processes should have.
    """

    name: str
    title: str
    spec: Spec
    image: Image | None
    label: ContainerLabel

    @property
    def unit(self) -> str:
        """The unit of a service, or "" for a container."""
        return unit_of(self.spec.service, self.name) if self.spec.service else ""


@dataclass(frozen=True)
class Workload:
    """All containers and services that a run starts.

    name: what their names in the guest begin with; also the name of their network.
    runtime: the container runtime.
    containers: in the order of their start.
    named_volumes: volumes that several of them can mount.
    contexts: file contexts that label the volumes.
    volume_type: the runtime's own type for the files of volumes; empty if the base policy has none.
    """

    name: str
    runtime: Runtime
    containers: tuple[LabelledContainer, ...]
    named_volumes: Mapping[str, NamedVolume] = field(default_factory=dict)
    contexts: FileContexts = NO_CONTEXTS
    volume_type: str = ""

    @property
    def is_single(self) -> bool:
        """Whether the scenario describes one container, without a name."""
        return self.containers[0].title == ""

    @property
    def has_network(self) -> bool:
        """Whether the containers have a network of their own, in which their names resolve."""
        return not self.is_single and any(
            each.spec.network in (None, "pod") and not each.spec.service for each in self.containers
        )

    def pod(self, kind: str) -> list[LabelledContainer]:
        """Return the containers that share the namespace `kind` as a pod; the first one has it."""
        titles = pod_members({each.title: each.spec for each in self.containers}, kind)
        return [each for each in self.containers if each.title in titles]

    @property
    def lasting(self) -> list[LabelledContainer]:
        """Return the containers that are not init containers."""
        return [each for each in self.containers if not is_init(each.spec)]
