"""Parse the output of `inspect` of Docker, Podman, nerdctl and crictl, and say what other input is.

Sources: ContainerInspect of the Docker Engine API, Podman's InspectContainerData (1 to 5), and
ContainerStatus of the Kubernetes container runtime interface (crictl).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from selab.errors import InputError
from selab.host.tables import table
from selab.host.yamlfile import first_problem
from selab.scaffold.image_config import InspectModel, quoted

MAX_BYTES = 4 * 2**20
"""A container's description has some ten kilobytes."""
_INSPECT = "Use the output of `docker`, `podman`, `nerdctl` or `crictl inspect` for one container."

NoneIfEmpty = BeforeValidator(lambda value: value or None)
"""Podman writes an empty list or text for an object that it does not have."""


class Config(InspectModel):
    """How the container was configured."""

    model_config = ConfigDict(extra="allow")
    image: str | None = None
    cmd: list[str] | str | None = None
    entrypoint: list[str] | str | None = None
    env: list[str] | None = None
    user: str | None = None
    working_dir: str | None = None
    exposed_ports: Annotated[dict[str, Any] | None, NoneIfEmpty] = None


class Binding(InspectModel):
    """A port of the host."""

    host_port: str | None = None


Bindings = dict[str, list[Binding] | None]


def _bindings(value: Any) -> Any:
    """Convert Podman's list of ports to the object that Docker writes."""
    if not isinstance(value, list):
        return value or None
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in value:
        if not isinstance(port, dict):
            raise ValueError("a port is not an object")
        fields = {key.replace("_", "").lower(): item for key, item in port.items()}
        key = f"{fields.get('containerport')}/{fields.get('protocol') or 'tcp'}"
        bindings.setdefault(key, []).append({"HostPort": str(fields.get("hostport") or "")})
    return bindings or None


def _texts(value: Any) -> list[str]:
    """Return the items of a list, or the only value, as text."""
    return [str(item) for item in (value if isinstance(value, list) else [value] if value else [])]


class HostConfig(InspectModel):
    """How the container uses its host."""

    model_config = ConfigDict(extra="allow")
    port_bindings: Annotated[Bindings | None, BeforeValidator(_bindings)] = None
    publish_all_ports: bool | None = None
    cap_add: Annotated[list[str] | None, NoneIfEmpty] = None
    cap_drop: Annotated[list[str] | None, NoneIfEmpty] = None
    readonly_rootfs: bool | None = None
    security_opt: Annotated[list[str], BeforeValidator(_texts)] = []
    tmpfs: Annotated[dict[str, Any] | None, NoneIfEmpty] = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None


class Mount(InspectModel):
    """A mount of the container."""

    model_config = ConfigDict(extra="allow")
    type: str = "bind"
    source: str | None = None
    destination: str
    mode: str | None = None
    writable: bool | None = Field(default=True, alias="RW")


class _NetworkSettings(InspectModel):
    model_config = ConfigDict(extra="allow")
    ports: Annotated[Bindings | None, BeforeValidator(_bindings)] = None


class Container(InspectModel):
    """A container in the form of Docker's API, which Podman and nerdctl follow."""

    model_config = ConfigDict(extra="allow")
    name: str | None = None
    path: str | None = None
    image: str | None = None
    image_name: str | None = None
    process_label: str | None = None
    config: Annotated[Config, BeforeValidator(lambda value: value if value is not None else {})] = Config()
    host_config: Annotated[HostConfig, BeforeValidator(lambda value: {} if value is None else value)] = (
        HostConfig()
    )
    network_settings: _NetworkSettings | None = None
    mounts: Annotated[list[Mount] | None, NoneIfEmpty] = None
    cri_status: dict[str, Any] = {}
    cri_config: dict[str, Any] = {}


@dataclass(frozen=True)
class _Kind:
    """Something that is not a container.

    name: what it is.
    has: keys of which each must be there.
    without: keys of which none may be there.
    hint: what to do instead.
    """

    name: str
    has: tuple[str, ...]
    hint: str
    without: tuple[str, ...] = ()


_KINDS = tuple(
    _Kind(fields["name"], tuple(fields["has"]), fields["hint"], tuple(fields.get("without", ())))
    for fields in table("scaffold/inspected/not_containers.toml")["kinds"]
)
_CAPITAL = re.compile(r"[A-Z]")
CRI_POD = frozenset({"network", "linux", "runtimeHandler"})
_OF_A_CONTAINER = frozenset({"Config", "HostConfig", "Mounts", "NetworkSettings"})


def parse_container(data: bytes, where: str) -> Container:
    """Parse `data`, which describes one container, alone or in a list.

    Raises InputError if it describes something else; the error names what that is.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "The container's description is too large.",
            f"{where} has more than {MAX_BYTES} bytes.",
            "Inspect one container.",
        )
    text = data.strip()
    if not text:
        _refuse("It is empty", where)
    try:
        value = from_json(text)
    except ValueError as error:
        _refuse(f"It is not JSON ({str(error)[:80]})", where)
    objects = value if isinstance(value, list) else [value]
    if len(objects) > 1:
        raise InputError(
            f"Expected exactly one container, found {len(objects)}.",
            f"Read from {where}.",
            "Inspect one container at a time.",
        )
    if not objects or not isinstance(objects[0], dict) or not objects[0]:
        _refuse(
            "It describes nothing" if not objects or objects[0] in ({}, None) else "It is not an object",
            where,
        )
    return container_of(objects[0], where)


def container_of(fields: Mapping[str, Any], where: str) -> Container:
    """Return the container that an object of `inspect` describes. Raises InputError for anything else."""
    try:
        return Container.model_validate(_in_dockers_form(fields, where))
    except ValidationError as error:
        place, problem = first_problem(error)
        raise InputError(
            "Expected the description of a container.", f"{where}: {place[:80]}: {problem}", _INSPECT
        ) from error


def _refuse(what: str, where: str, hint: str = _INSPECT) -> NoReturn:
    raise InputError("Expected the description of a container.", f"{where}: {what}.", hint)


def _in_dockers_form(fields: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    status = fields.get("status")
    if isinstance(status, dict) and "apiVersion" not in fields and "ociVersion" not in fields:
        return _of_crictl(fields, status, where)
    for kind in _KINDS:
        if all(key in fields for key in kind.has) and not any(key in fields for key in kind.without):
            _refuse(f"It is {kind.name}", where, kind.hint)
    if not _OF_A_CONTAINER & fields.keys():
        shown = ", ".join(sorted(map(str, fields))[:5])
        _refuse(f"It is not a container: its keys are {quoted(shown)}", where)
    return fields


def _of_crictl(fields: Mapping[str, Any], status: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Convert the output of `crictl inspect`; `info`, which depends on the runtime, may be missing."""
    if "repoTags" in status or "repoDigests" in status:
        _refuse("It is an image (`crictl inspecti`)", where, "Use `crictl inspect ID` for a container.")
    if "image" not in status and CRI_POD & status.keys():
        _refuse(
            "It is a pod (`crictl inspectp`)",
            where,
            "Use `--from-pod ID`, or `crictl inspect ID` for one of its containers.",
        )
    if "image" not in status:
        _refuse("It is not a container: `status` names no image", where)
    mounts = status.get("mounts") or []
    if not isinstance(mounts, list):
        _refuse("`status.mounts` is not a list", where)
    info = _object(fields, "info")
    config = _object(info, "config")
    security = _object(_object(config, "linux"), "security_context")
    process = _object(_object(info, "runtimeSpec"), "process")
    capabilities = _object(security, "capabilities")
    label = _object(security, "selinux_options")
    image = _object(status, "image")
    references = (image.get("userSpecifiedImage"), image.get("image"), status.get("imageRef"))
    named_once = {"resources"} if config else set()
    return {
        "Name": _object(status, "metadata").get("name"),
        "ImageName": next(filter(_is_name, references), None),
        "ProcessLabel": process.get("selinuxLabel"),
        "Config": {
            "Cmd": config.get("args"),
            "Entrypoint": config.get("command"),
            "Env": _variables(config, process),
            "User": _user(security, status, process),
            "WorkingDir": config.get("working_dir"),
            "Tty": config.get("tty"),
            "OpenStdin": config.get("stdin"),
        },
        "HostConfig": {
            "CapAdd": capabilities.get("add_capabilities"),
            "CapDrop": capabilities.get("drop_capabilities"),
            "Devices": config.get("devices"),
            "GroupAdd": security.get("supplemental_groups"),
            "Privileged": security.get("privileged", info.get("privileged")),
            "ReadonlyRootfs": security.get("readonly_rootfs"),
            "SecurityOpt": [f"label={key}:{label[key]}" for key in ("type", "level") if label.get(key)],
        },
        "Mounts": [_cri_mount(mount) for mount in mounts],
        "CriStatus": {key: value for key, value in _as_in_proto(status).items() if key not in named_once},
        "CriConfig": config,
    }  # fmt: skip


def _as_in_proto(value: Any) -> Any:
    """Write the keys of `status`, which is in JSON's spelling, as the protocol's source does."""
    if isinstance(value, list):
        return [_as_in_proto(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key if key.endswith("Mappings") else _CAPITAL.sub(r"_\g<0>", key).lower(): _as_in_proto(item)
        for key, item in value.items()
    }


def _user(security: Mapping[str, Any], status: Mapping[str, Any], process: Mapping[str, Any]) -> str | None:
    """Return the user that the pod or the image sets, also with the group; None if it is root."""
    name, uid = security.get("run_as_username"), _object(security, "run_as_user").get("value")
    gid = _object(security, "run_as_group").get("value")
    for effective in (_object(_object(status, "user"), "linux"), _object(process, "user")):
        if not name and uid is None and effective.get("uid") not in (None, 0, "0"):
            uid, gid = effective["uid"], effective.get("gid")
    user = str(name or ("" if uid is None else uid))
    return f"{user}:{gid}" if user and gid is not None else user or None


def _object(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _is_name(reference: object) -> bool:
    return isinstance(reference, str) and bool(reference) and not reference.startswith("sha256:")


def _variables(config: Mapping[str, Any], process: Mapping[str, Any]) -> Any:
    entries = config.get("envs")
    if isinstance(entries, list):
        return [
            f"{entry.get('key')}={entry.get('value', '')}" for entry in entries if isinstance(entry, dict)
        ]
    return process.get("env")


def _cri_mount(mount: Any) -> Any:
    if not isinstance(mount, dict):
        return mount
    propagation = str(mount.get("propagation") or "PROPAGATION_PRIVATE").removeprefix("PROPAGATION_").lower()
    return {
        "Type": "bind",
        "Source": mount.get("hostPath") or None,
        "Destination": mount.get("containerPath"),
        "RW": not mount.get("readonly"),
        "Mode": "Z" if mount.get("selinuxRelabel") else "",
        "Propagation": propagation,
    }
