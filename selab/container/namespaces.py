"""The words that give a container its network and its other namespaces, alone or as one of several."""

from __future__ import annotations

from selab.container.workload import LabelledContainer, Workload
from selab.scenario.consistency import JOINED


def namespace_words(container: LabelledContainer, workload: Workload) -> list[str]:
    """Return the words of `run` for the container's host name, network, ports and namespaces."""
    words = [*_network(container, workload)]
    for kind in ("pid", "ipc"):
        words += _namespace(kind, container, workload)
    return words


def _network(container: LabelledContainer, workload: Workload) -> list[str]:
    network, pod = container.spec.network, workload.pod("network")
    if container in pod and container is not pod[0]:
        return ["--network", f"{JOINED}{pod[0].name}"]  # which has the pod's host name and ports
    if network and network.startswith(JOINED):
        return ["--network", f"{JOINED}{workload.name}-{network.removeprefix(JOINED)}"]
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
    namespace, pod = getattr(container.spec, kind), workload.pod(kind)
    if container in pod and container is not pod[0]:
        return [f"--{kind}", f"{JOINED}{pod[0].name}"]
    if namespace and namespace.startswith(JOINED):
        return [f"--{kind}", f"{JOINED}{workload.name}-{namespace.removeprefix(JOINED)}"]
    if namespace == "host":
        return [f"--{kind}", "host"]
    joining = {f"{JOINED}{container.title}", *(["pod"] if container in pod else [])}
    if kind == "ipc" and any(each.spec.ipc in joining for each in workload.containers):
        return [
            "--ipc",
            "shareable",
        ]  # Docker's default is an IPC namespace that no other container can join.
    return []
