"""Run the parts of a workload together: in their order, each when what it waits for has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from selab.container.lifecycle import (
    REMOVE_TIMEOUT,
    Container,
    Running,
    Setup,
    labels_in,
    remove,
    run_with_repairs,
    start,
)
from selab.container.steps import GRACE, await_end, logs
from selab.container.volumes import prepare_volumes
from selab.container.workload import LabelledContainer, Workload
from selab.guest import Guest, Malformed, number, one_of, reading, script_argv, whole_seconds
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

    They are removed after the block unless `keep` is set. Their labels are complete only after the block.
    Raises ContainerRefused, ServiceRefused or NotReady if one does not start or does not become ready.
    """
    guest = setup.guest
    with ExitStack() as undo:
        if not workload.is_single and not keep:
            undo.callback(_remove_shared, guest, workload)
        prepare_volumes(guest, workload, setup.root)
        if workload.has_network:
            _make_network(setup, workload)
        for container in workload.containers:
            _await_others(guest, container, workload, containers)
            others = [each.name for each in containers.values() if isinstance(each, Container)]
            started: Running = (
                undo.enter_context(_service(guest, container, workload, keep=keep))
                if container.spec.service
                else undo.enter_context(_container(setup, container, workload, others, keep=keep))
            )
            containers[container.title] = started
            if is_init(container.spec):
                _require_end(guest, started)
        yield
        if not workload.is_single:
            _observe(guest, workload, [*containers.values()])


@contextmanager
def _container(
    setup: Setup, container: LabelledContainer, workload: Workload, others: Sequence[str], *, keep: bool
) -> Iterator[Container]:
    """Run a container during the block. Also one that does not start leaves something to remove."""
    running = Container(container.name, 0, workload.runtime, title=container.title)
    try:
        running = start(setup, container, workload, others)
        yield running
    finally:
        remove(setup.guest, running, keep=keep)


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


def _remove_shared(guest: Guest, workload: Workload) -> None:
    argv = script_argv("container/remove-shared", workload.name, workload.runtime.name)
    guest.run(argv, timeout=REMOVE_TIMEOUT).expect(
        "The network of the containers could not be removed.", hint="Run `selab doctor`."
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


def _observe(guest: Guest, workload: Workload, started: Sequence[Running]) -> None:
    """Read the labels of all before any is removed, and which of them have ended."""
    containers = [each for each in started if isinstance(each, Container)]
    if containers:
        _observe_containers(guest, workload, containers)
    for each in started:
        if isinstance(each, RunningService):
            observe(guest, each)


def _observe_containers(guest: Guest, workload: Workload, containers: Sequence[Container]) -> None:
    pairs = [word for each in containers for word in (each.name, str(each.pid))]
    argv = script_argv("container/observe", workload.runtime.name, *pairs)
    done = guest.run(argv, timeout=REMOVE_TIMEOUT).expect(
        "selab cannot see whether the containers still run."
    )
    answers = done.text.split("end\n")
    with reading(done):
        if len(answers) != len(containers) + 1 or answers[-1]:
            raise Malformed(f"it is not about {len(containers)} containers")
        for container, answer in zip(containers, answers, strict=False):
            first, _, rest = answer.partition("\n")
            word, _, code = first.partition(" ")
            if one_of(word, "runs", "ended") == "ended":
                container.ended = number(code)
            container.labels |= labels_in(f"{rest}end\n")
