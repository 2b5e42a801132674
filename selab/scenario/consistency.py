"""Check what several containers of a scenario say about each other, and order their start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from selab.scenario.container import Container, Health, Member, NamedVolume
from selab.scenario.steps import HttpStep, Step, TcpStep

JOINED = "container:"
"""What precedes the name of a container in `network`, `pid` and `ipc`."""


def check_containers(
    members: Mapping[str, Container], volumes: Mapping[str, NamedVolume], steps: Sequence[Step], level: str
) -> None:
    """Raise ValueError if containers, volumes or steps contradict each other."""
    for name, member in members.items():
        for other in [*waits_for(member), *joined(member)]:
            _require_other(name, other, members)
        _check_health(member, members)
        _check_joined(name, member, members)
        for volume in member.volumes:
            if volume.name is not None and volume.name not in volumes:
                raise ValueError(f"`named_volumes` has no volume '{volume.name}'")
    start_order(members)
    _check_ports(members)
    _check_units(members)
    for name, named in volumes.items():
        _check_named_volume(name, named, members, level)
    for step in steps:
        if members[container_of(step, members)].service and (step.exec or step.copy_):
            raise ValueError(f"the step '{step.title}' needs a container, which a service lacks: use `guest`")


def start_order(members: Mapping[str, Container]) -> list[str]:
    """Return the names in the order in which the containers start: as in the file if nothing else is said.

    A container starts after those that it waits for or joins, and after all `init` containers. Raises
    ValueError if containers wait for each other.
    """
    inits = [name for name, member in members.items() if is_init(member)]
    graph: dict[str, set[str]] = {}
    for name, member in members.items():
        before = inits[: inits.index(name)] if name in inits else inits
        graph[name] = {*waits_for(member), *joined(member), *before, *_pod_holder(name, member, members)}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"the containers wait for each other: {' -> '.join(error.args[1])}") from error
    order: list[str] = []
    places = [*members]
    ready = [*sorter.get_ready()]
    while ready:
        following = min(ready, key=places.index)
        ready.remove(following)
        order.append(following)
        sorter.done(following)
        ready += sorter.get_ready()
    return order


def waits_for(member: Container) -> Mapping[str, str]:
    """Return the other containers that must have reached a condition before this one starts, with it."""
    return member.after if isinstance(member, Member) else {}


def is_init(member: Container) -> bool:
    """Return whether the container ends before the other containers start."""
    return isinstance(member, Member) and member.init


def health_of(member: Container) -> Health:
    """Return how selab finds out whether the container is healthy: by default as its image says."""
    return (member.health if isinstance(member, Member) else None) or Health()


def joined(member: Container) -> Iterator[str]:
    """Yield the names of the containers whose namespaces this one joins by name."""
    yield from filter(None, map(joined_name, (member.network, member.pid, member.ipc)))


def joined_name(namespace: str | None) -> str:
    """Return the name of the container that `container:NAME` joins, or an empty string for other words."""
    return namespace.removeprefix(JOINED) if namespace and namespace.startswith(JOINED) else ""


def pod_members(members: Mapping[str, Container], kind: str) -> list[str]:
    """Return the names of the containers that share the namespace `kind` (`network`, `pid`, `ipc`) as a pod.

    The first one has the namespace, which the others join. Init containers have their own: they end before it
    exists.
    """
    return [
        name for name, member in members.items() if getattr(member, kind) == "pod" and not is_init(member)
    ]


def _pod_holder(name: str, member: Container, members: Mapping[str, Container]) -> set[str]:
    holders = {
        pod_members(members, kind)[0]
        for kind in ("network", "pid", "ipc")
        if getattr(member, kind) == "pod" and not is_init(member)
    }
    return holders - {name}


def _require_other(name: str, other: str, members: Mapping[str, Container]) -> None:
    if other == name:
        raise ValueError(f"the container '{name}' cannot wait for itself or join itself")
    if other not in members:
        raise ValueError(f"there is no container '{other}'")


def _check_health(member: Container, members: Mapping[str, Container]) -> None:
    for other, condition in waits_for(member).items():
        if condition == "healthy" and members[other].service:
            raise ValueError(f"the service '{other}' has no health check: wait until it has `started`")


def _check_joined(name: str, member: Container, members: Mapping[str, Container]) -> None:
    for other in joined(member):
        if members[other].service:
            raise ValueError(f"'{name}' cannot join '{other}', which is a service of the guest: write `host`")
        if is_init(members[other]):
            raise ValueError(f"'{name}' cannot join '{other}', which ends before '{name}' starts")
        if any(joined(members[other])):
            raise ValueError(f"'{name}' cannot join '{other}', which itself joins another container")
    if "" in members and "pod" in (member.network, member.pid, member.ipc):
        raise ValueError("a single container shares nothing as a pod: name several under `containers`")
    if "none" in (member.pid, member.ipc):
        raise ValueError("`none` is a network: `pid` and `ipc` are a container's own by default")


def _check_ports(members: Mapping[str, Container]) -> None:
    publishers: dict[int, str] = {}
    for name, member in members.items():
        for port in member.ports:
            if publishers.setdefault(port.guest, name) != name:
                raise ValueError(
                    f"the containers '{publishers[port.guest]}' and '{name}' publish the guest's port "
                    f"{port.guest}"
                )


def _check_units(members: Mapping[str, Container]) -> None:
    services: dict[str, str] = {}
    for name, member in members.items():
        unit = member.service.unit if member.service else None
        if unit and services.setdefault(unit, name) != name:
            raise ValueError(f"the services '{services[unit]}' and '{name}' are the same unit {unit}")


def _check_named_volume(name: str, named: NamedVolume, members: Mapping[str, Container], level: str) -> None:
    mounts = [
        (user, volume.target)
        for user, member in members.items()
        for volume in member.volumes
        if volume.name == name
    ]
    users = list(dict.fromkeys(user for user, _ in mounts))
    if not users:
        raise ValueError(f"no container mounts the named volume '{name}'")
    levels = {members[user].label.level or (user if level == "container" else level) for user in users}
    if named.label == "private" and len(levels) > 1:
        raise ValueError(
            f"the named volume '{name}' cannot be private: "
            f"{' and '.join(users)} mount it with different levels"
        )
    if named.label == "contexts" and len({target for _, target in mounts}) > 1:
        raise ValueError(
            f"the named volume '{name}' has several targets, so the file contexts do not say its labels"
        )


def container_of(step: Step, members: Mapping[str, Container]) -> str:
    """Return the name of the container that a step is about. Raises ValueError if that is open."""
    if step.container is not None:
        if step.container not in members or "" in members:
            raise ValueError(f"there is no container '{step.container}'")
        return step.container
    port = step.action.port if isinstance(step.action, HttpStep | TcpStep) else None
    publishers = [name for name, member in members.items() if port in {each.guest for each in member.ports}]
    if len(members) == 1 or step.guest:
        return next(iter(members))
    if not publishers:
        raise ValueError(f"the step '{step.title}' does not name its `container`")
    return publishers[0]


def titles_that_may_end(members: Mapping[str, Container], steps: Sequence[Step]) -> frozenset[str]:
    """Return the names of the containers that may end by themselves before the run is over.

    A single container without a name may: a command that does its work and ends is a workload, also if it is
    a service's. One of several may if it is an init container, if another one waits for its end, or if a step
    does. A unit is not a command: even a single one may end only if a step waits for that.
    """
    if "" in members and not (members[""].service and members[""].service.unit):
        return frozenset(members)
    waited = {
        other
        for member in members.values()
        for other, condition in waits_for(member).items()
        if condition == "exited"
    }
    ending = {container_of(step, members) for step in steps if step.exit}
    return frozenset({name for name, member in members.items() if is_init(member)} | waited | ending)
