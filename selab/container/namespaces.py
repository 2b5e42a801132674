"""The words that give a container its network and its other namespaces, alone or as one of several."""

from __future__ import annotations

from selab.container.workload import LabelledContainer, Workload
from selab.scenario.consistency import JOINED, joined_name


def namespace_words(container: LabelledContainer, workload: Workload) -> list[str]:
    """Return the words of `run` for the container's host name, network, ports and namespaces."""
    words = [*_network(container, workload)]
    for kind in ("pid", "ipc"):
        words += _namespace(kind, container, workload)
    return words


def _network(container: LabelledContainer, workload: Workload) -> list[str]:
    if owner := _owner("network", container, workload):
        return ["--network", f"{JOINED}{owner}"]  # which has the host name and the ports
    network, pod = container.spec.network, workload.pod("network")
    sharing = pod if container in pod else [container]
    words = ["--hostname", container.title or "selab"]
    if network in ("host", "none"):
        words += ["--network", network]
    elif not workload.is_single:
        words += ["--network", workload.name]
        words += [word for each in sharing for word in ("--network-alias", each.title)]
    ports = (port for each in sharing for port in each.spec.ports)
    return words + [
        word for port in ports for word in ("--publish", f"127.0.0.1:{port.guest}:{port.container}")
    ]


def _namespace(kind: str, container: LabelledContainer, workload: Workload) -> list[str]:
    if owner := _owner(kind, container, workload):
        return [f"--{kind}", f"{JOINED}{owner}"]
    if getattr(container.spec, kind) == "host":
        return [f"--{kind}", "host"]
    if kind == "ipc" and any(_owner(kind, each, workload) == container.name for each in workload.containers):
        # By default, no other container can join Docker's IPC namespace.
        return ["--ipc", "shareable"]
    return []


def _owner(kind: str, container: LabelledContainer, workload: Workload) -> str:
    """Return the name in the guest of the container whose namespace this one joins, or an empty string."""
    pod = workload.pod(kind)
    if container in pod and container is not pod[0]:
        return pod[0].name
    title = joined_name(getattr(container.spec, kind))
    return f"{workload.name}-{title}" if title else ""
