"""Parse what Podman and crictl say about a pod and its containers.

Sources: InspectPodData of Podman (containers/podman, libpod/define/pod_inspect.go, commit 19297a37), which
`podman pod inspect` prints alone or in a list; PodSandboxStatus, PodSandboxConfig and ListContainersResponse
of the container runtime interface (kubernetes-sigs/cri-tools, commit ba03eabc: the copy of api.proto below
vendor/, and outputStatusData in cmd/crictl/util.go).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from selab.errors import InputError
from selab.scaffold.inspected.output import CRI_POD, Container, container_of
from selab.scaffold.values import fields_of
from selab.scenario.model import MOST_CONTAINERS

MAX_POD_BYTES = 16 * 2**20
"""A container's description has some ten kilobytes."""
_MAX_DEPTH = 64
"""Objects and lists in each other; a container's description has some ten."""
_NAMESPACES = {"network": "net", "pid": "pid", "ipc": "ipc"}
"""Podman's words for the namespaces of a scenario."""
_OF_A_CONTAINER = "container:"
_NODE, _POD = ("NODE", 2), ("POD", 0)
_HINT = (
    "Use the output of `podman pod inspect POD` and `podman inspect CONTAINER...`, or of `crictl inspectp` "
    "and `crictl inspect`, one after the other."
)


@dataclass(frozen=True)
class Pod:
    """A pod as its runtime describes it.

    name: its name.
    containers: its containers, without the one that only has the namespaces.
    of_host: namespaces of the host that it uses: `network`, `pid`, `ipc`.
    shared: namespaces that its containers share.
    ports: the published ports, as pairs of a port with its protocol and the host's port.
    settings: its other settings.
    part: the part of import_keys.toml that describes the settings.
    """

    name: str
    containers: tuple[Container, ...]
    of_host: frozenset[str]
    shared: frozenset[str]
    ports: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any]
    part: str


def parse_pod(data: bytes, where: str) -> Pod:
    """Parse the description of a pod, and of its containers.

    `data` has JSON values one after the other, as several commands print them. Raises InputError if it has
    not one pod, or no containers.
    """
    objects = list(values(data, where))
    pods = [each for each in objects if is_pod(each)]
    if len(pods) != 1:
        _refuse(f"It describes {len(pods)} pods", where)
    infra = pods[0].get("InfraContainerID")
    others = [each for each in objects if not is_pod(each) and not (infra and each.get("Id") == infra)]
    if not others:
        _refuse("It describes none of the pod's containers", where)
    if len(others) > MOST_CONTAINERS:
        _refuse(f"The pod has more than {MOST_CONTAINERS} containers", where)
    containers = tuple(container_of(_alone(each), where) for each in others)
    if "status" in pods[0]:
        return _of_crictl(pods[0], containers)
    return _of_podman(pods[0], containers)


def values(data: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of JSON text, also those in lists. Raises InputError if it is not JSON."""
    if len(data) > MAX_POD_BYTES:
        _refuse(f"It has more than {MAX_POD_BYTES} bytes", where)
    decoder = json.JSONDecoder()
    try:
        text, position = data.decode().strip(), 0
        while position < len(text):
            value, position = decoder.raw_decode(text, position)
            if _is_deep(value):
                _refuse("It is nested too deeply", where)
            yield from (each for each in _listed(value) if isinstance(each, dict))
            while position < len(text) and text[position].isspace():
                position += 1
    except (ValueError, RecursionError) as error:
        _refuse(f"It is not JSON ({str(error)[:80]})", where)


def _is_deep(value: Any) -> bool:
    """Return whether more than _MAX_DEPTH objects and lists are in each other."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        if not (level := [each for each in level if isinstance(each, dict | list)]):
            return False
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
    return True


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def is_pod(fields: Mapping[str, Any]) -> bool:
    """Return whether an object of `inspect` describes a pod."""
    status = fields.get("status")
    if isinstance(status, dict):
        return "image" not in status and bool(CRI_POD & status.keys())
    return "HostConfig" not in fields and ("InfraConfig" in fields or "Containers" in fields)


def members_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the ids of the containers of a pod of Podman, or of a list that `crictl ps` prints.

    Of a container that crictl has started several times, only the last one counts.
    """
    ids: dict[str, tuple[int, str]] = {}
    entries = fields.get("Containers") or fields.get("containers")
    for entry in entries if isinstance(entries, list) else ():
        each = entry if isinstance(entry, dict) else {}
        key = str(each.get("Id") or each.get("id"))
        metadata = fields_of(each, "metadata")
        attempt = metadata.get("attempt")
        number = attempt if isinstance(attempt, int) else 0
        name = str(metadata.get("name") or key)
        if key != str(fields.get("InfraContainerID", "")) and number >= ids.get(name, (0, ""))[0]:
            ids[name] = number, key
    return [key for _, key in ids.values()]


def _refuse(what: str, where: str) -> NoReturn:
    raise InputError("Expected the description of a pod and its containers.", f"{where}: {what}.", _HINT)


def _alone(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container without what it has from its pod: namespaces, ports, and the pod itself."""
    if isinstance(fields.get("status"), dict):
        path = ("info", "config", "linux", "security_context")
        security = fields_of(fields, *path)
        own = {key: value for key, value in security.items() if key != "namespace_options"}
        return _replaced(fields, path, own)
    if "HostConfig" not in fields:
        return dict(fields)
    host = {
        key: value
        for key, value in fields_of(fields, "HostConfig").items()
        if key != "PortBindings" and not str(value).startswith(_OF_A_CONTAINER)
    }
    without = {key: value for key, value in fields.items() if key not in ("Pod", "Dependencies")}
    return {**without, "HostConfig": host, "NetworkSettings": None}


def _replaced(fields: Mapping[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy of an object with another value at a path; without it, if the path does not exist."""
    first, *rest = keys
    inner = fields.get(first)
    if rest and isinstance(inner, dict):
        return {**fields, first: _replaced(inner, tuple(rest), value)}
    return {**fields, first: value} if not rest and first in fields else dict(fields)


def _of_podman(fields: Mapping[str, Any], containers: tuple[Container, ...]) -> Pod:
    infra = fields_of(fields, "InfraConfig")
    words = {str(word) for word in _listed(fields.get("SharedNamespaces") or [])}
    of_host = {"network"} if infra.get("HostNetwork") is True else set()
    of_host |= {"pid"} if infra.get("pid_ns") == "host" else set()
    shared = {name for name, word in _NAMESPACES.items() if word in words} - of_host
    ports = tuple(
        (str(key), str(fields_of({"each": each}, "each").get("HostPort") or ""))
        for key, bindings in fields_of(infra, "PortBindings").items()
        for each in _listed(bindings or [])
    )
    name = str(fields.get("Name") or "")
    return Pod(name, containers, frozenset(of_host), frozenset(shared), ports, fields, "podman_pod")


def _of_crictl(fields: Mapping[str, Any], containers: tuple[Container, ...]) -> Pod:
    status, config = fields_of(fields, "status"), fields_of(fields, "info", "config")
    modes = fields_of(status, "linux", "namespaces", "options")
    of_host = {name for name in _NAMESPACES if modes.get(name) in _NODE}
    shared = {name for name in _NAMESPACES if modes.get(name) in _POD}
    mappings = config.get("port_mappings")
    ports = tuple(
        _mapping(each) for each in (mappings if isinstance(mappings, list) else ()) if isinstance(each, dict)
    )
    name = str(fields_of(status, "metadata").get("name") or "")
    return Pod(name, containers, frozenset(of_host), frozenset(shared), ports, config, "cri_pod")


def _mapping(fields: Mapping[str, Any]) -> tuple[str, str]:
    protocol = "udp" if fields.get("protocol") else "tcp"
    return f"{fields.get('container_port')}/{protocol}", str(fields.get("host_port") or "")
