"""Run the parts of a workload together: in their order, each when what it waits for has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from selab.container.lifecycle import (
    Container,
    Running,
    Setup,
    run_with_repairs,
    start,
)
from selab.container.removal import end
from selab.container.steps import GRACE, await_end, logs
from selab.container.volumes import prepare_volumes
from selab.container.workload import LabelledContainer, Workload
from selab.guest import Guest, script_argv, whole_seconds
from selab.scenario.consistency import health_of, is_init, waits_for
from selab.scenario.container import Health
from selab.service.lifecycle import RunningService, observe, running_service

END_TIMEOUT = 60.0
"""Seconds in which a container that another one waits for must end."""


class NotReady(Exception):
    """A container did not become what another one waits for. This is an outcome of the run, not an error.

    title: the container's name in the scenario.
    reason: what it did instead, as the rest of a sentence about the container.
    log: the end of its log.
    """

    def __init__(self, title: str, reason: str, log: str = "") -> None:
        super().__init__(title, reason)
        self.title, self.reason, self.log = title, reason, log


@contextmanager
def running(
    setup: Setup, workload: Workload, containers: dict[str, Running], *, keep: bool = False
) -> Iterator[None]:
    """Start the containers and services of `workload` during the block, and add each to `containers` by its
    name there.

    They end after the block unless `keep` is set, and the removal of the containers begins. Their labels are
    complete only after the block.
    Raises ContainerRefused, ServiceRefused or NotReady if one does not start or does not become ready.
    """
    guest = setup.guest
    created: list[Container] = []
    with (
        ExitStack() as services,
        _ended(guest, workload, created, keep=keep),
        _services_observed(guest, workload, containers),
    ):
        prepare_volumes(guest, workload, setup.root)
        if workload.has_network:
            _make_network(setup, workload)
        for container in workload.containers:
            _await_others(guest, container, workload, containers)
            started: Running = (
                services.enter_context(_service(guest, container, workload, keep=keep))
                if container.spec.service
                else _start(setup, container, workload, created)
            )
            containers[container.title] = started
            if is_init(container.spec):
                _require_end(guest, started)
        yield


@contextmanager
def _ended(guest: Guest, workload: Workload, created: Sequence[Container], *, keep: bool) -> Iterator[None]:
    """End after the block the containers that are `created` by then."""
    try:
        yield
    finally:
        if created or workload.has_network or workload.named_volumes:
            end(guest, workload, created, keep=keep)


@contextmanager
def _services_observed(guest: Guest, workload: Workload, started: Mapping[str, Running]) -> Iterator[None]:
    """Read after the block what became of each of several services, before anything ends."""
    try:
        yield
    finally:
        for each in started.values():
            if isinstance(each, RunningService) and not workload.is_single:
                observe(guest, each)


def _start(
    setup: Setup, container: LabelledContainer, workload: Workload, created: list[Container]
) -> Container:
    """Start a container, and add it to those that are `created`: one that does not start leaves something."""
    others = [each.name for each in created]
    created.append(Container(container.name, 0, workload.runtime, title=container.title))
    created[-1] = start(setup, container, workload, others)
    return created[-1]


def _service(
    guest: Guest, service: LabelledContainer, workload: Workload, *, keep: bool
) -> AbstractContextManager[RunningService]:
    assert service.spec.service
    return running_service(
        guest,
        service.spec.service,
        service.name,
        service.label.type,
        title=service.title,
        contexts=workload.contexts,
        keep=keep,
    )


def _make_network(setup: Setup, workload: Workload) -> None:
    """Create the network of the containers; the runtime is installed first if the guest lacks it."""
    argv = script_argv("container/make-network", workload.name, workload.runtime.name)
    done = run_with_repairs(setup.guest, argv, [(workload.runtime.lacks, setup.ensure_runtime)])
    done.expect(
        f"{workload.runtime.title} could not create a network for the containers.", hint="Run `selab doctor`."
    )


def _await_others(
    guest: Guest, container: LabelledContainer, workload: Workload, started: Mapping[str, Running]
) -> None:
    """Wait until the other containers are what this one waits for. Raises NotReady if one is not."""
    specs = {each.title: each.spec for each in workload.containers}
    for title, condition in waits_for(container.spec).items():
        other = started[title]
        if condition == "healthy" and isinstance(other, Container):
            _await_health(guest, other, health_of(specs[title]))
        elif condition == "exited":
            _require_end(guest, other)


def _await_health(guest: Guest, container: Container, health: Health) -> None:
    words = [str(container.pid), container.name, whole_seconds(health.timeout), container.runtime.name]
    argv = script_argv("container/await-health", *words, *health.command)
    done = guest.run(argv, timeout=health.timeout * 2 + GRACE)
    if done.returncode:
        reason = done.expect("selab cannot see whether a container is healthy.", 1).text.strip()
        raise _not_ready(guest, container, reason)


def _require_end(guest: Guest, container: Running) -> None:
    """Wait until one has ended. Raises NotReady unless it ends in time, and with exit code 0."""
    code = await_end(guest, container, END_TIMEOUT)
    if isinstance(code, str):
        raise _not_ready(guest, container, f"was to end before other containers start, but {code}")
    if code:
        raise _not_ready(guest, container, f"was to end with exit code 0, but ended with {code}")


def _not_ready(guest: Guest, container: Running, reason: str) -> NotReady:
    return NotReady(container.title, reason, logs(guest, {container.title: container}))
