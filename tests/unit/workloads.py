"""The plan and the workload of a scenario, as a run makes them, for tests of what comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selab.container.group import running
from selab.container.image import Image
from selab.container.label import ContainerLabel
from selab.container.lifecycle import Container, Setup
from selab.container.runtime import runtimes
from selab.container.workload import NO_CONTEXTS, LabelledContainer, Workload, workload_name
from selab.policy.contexts import FileContexts
from selab.policy.module import PolicyModule
from selab.progress import Progress
from selab.run.request import PlannedContainer
from selab.scenario.consistency import start_order
from selab.scenario.model import Scenario
from tests.unit.fakes import FakeGuest, recorded_network

LABEL = ContainerLabel("web_t", "s0:c1,c2")
IMAGE = Image("x", None)


def scenario(**fields: Any) -> Scenario:
    """A scenario with `fields`; it has the image x unless it names containers."""
    return Scenario.model_validate(fields if "containers" in fields else {"image": "x", **fields})


def planned(of: Scenario, module: PolicyModule | None = None) -> tuple[PlannedContainer, ...]:
    """The containers of a scenario, all with the candidate `module`."""
    return tuple(PlannedContainer(name, of.members[name], IMAGE, module) for name in start_order(of.members))


def workload(
    of: Scenario,
    *labels: ContainerLabel,
    name: str = "",
    image: Image = IMAGE,
    contexts: FileContexts = NO_CONTEXTS,
    volume_type: str = "",
) -> Workload:
    """The workload of a scenario. Its containers have `labels` in the order of their start, or else LABEL."""
    prefix = workload_name(name)
    containers = tuple(
        LabelledContainer(f"{prefix}-{title}" if title else prefix, title, of.members[title], image, label)
        for title, label in zip(start_order(of.members), [*labels] or [LABEL] * len(of.members), strict=True)
    )
    runtime = runtimes()[of.runtime]
    return Workload(prefix, runtime, containers, of.named_volumes, contexts, volume_type)


@contextmanager
def started(
    guest: FakeGuest,
    of: Workload,
    root: Path,
    *,
    keep: bool = False,
    ensure_runtime: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Container]]:
    """Run a workload in `guest` during the block."""
    setup = Setup(guest, root, root, Progress(), ensure_runtime, recorded_network(guest.commands))
    containers: dict[str, Container] = {}
    with running(setup, of, containers, keep=keep):
        yield containers
