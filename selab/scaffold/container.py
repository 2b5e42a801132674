"""Read a container's description from `docker inspect` or `podman inspect`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from selab.container.runtime import runtimes
from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.project import Project
from selab.scaffold.image_config import InspectModel, quoted
from selab.scaffold.scenario_builder import ScenarioBuilder, label_of

STDIN = "-"
MAX_BYTES = 4 * 2**20
"""A container's description has some ten kilobytes."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BY_THE_RUNTIME = frozenset({"HOSTNAME", "TERM", "container"})
"""Podman sets these variables itself."""
_USUAL = (
    "",
    "default",
    "bridge",
    "private",
    "shareable",
    "slirp4netns",
    "pasta",
    "host-gateway",
    False,
    0,
    None,
)
_NOT_CARRIED = {
    "Privileged": "privileged",
    "NetworkMode": "network",
    "PidMode": "pid",
    "IpcMode": "ipc",
    "UsernsMode": "userns",
    "Devices": "devices",
    "SecurityOpt": "security options",
    "GroupAdd": "groups",
    "Sysctls": "sysctls",
    "Ulimits": "ulimits",
    "ExtraHosts": "extra hosts",
    "Links": "links",
}
"""Settings that a scenario cannot express, by their key in HostConfig."""


class _Config(InspectModel):
    image: str | None = None
    cmd: list[str] | str | None = None
    entrypoint: list[str] | str | None = None
    env: list[str] | None = None
    user: str | None = None


class _Binding(InspectModel):
    host_port: str | None = None


class _HostConfig(InspectModel):
    model_config = ConfigDict(extra="allow")
    port_bindings: dict[str, list[_Binding] | None] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    readonly_rootfs: bool | None = None
    tmpfs: dict[str, Any] | None = None


class _Mount(InspectModel):
    type: str = "bind"
    source: str | None = None
    destination: str
    mode: str | None = None
    writable: bool | None = Field(default=True, alias="RW")


class _Container(InspectModel):
    """A container in the form of Docker's API (ContainerInspect), which Podman follows."""

    name: str | None = None
    image: str | None = None
    image_name: str | None = None
    config: _Config = _Config()
    host_config: _HostConfig = _HostConfig()
    mounts: list[_Mount] | None = None


class _Image(InspectModel):
    config: _Config | None = None


_CONTAINERS: TypeAdapter[list[_Container]] = TypeAdapter(list[_Container])
_IMAGES: TypeAdapter[list[_Image]] = TypeAdapter(list[_Image])


def from_container(project: Project, name: str, host: Guest) -> ScenarioBuilder:
    """Build the scenario of a container of `host`, or of a description in the file `name` (`-` is stdin).

    Raises InputError if the description is unreadable, SelabError if no runtime of the host has the
    container.
    """
    if name == STDIN:
        container, image = _described(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"), None
    elif Path(name).exists() and not Path(name).is_dir():  # also a pipe: `<(docker inspect web)`
        with Path(name).open("rb") as file:
            container, image = _described(file.read(MAX_BYTES + 1), name), None
    else:
        container, image = _inspect(name, host)
    return _builder(project, container, image)


def _described(data: bytes, where: str) -> _Container:
    """Parse `data`, which describes one container, alone or in a list."""
    if len(data) > MAX_BYTES:
        raise InputError(
            "The container's description is too large.",
            f"{where} has more than {MAX_BYTES} bytes.",
            "Inspect one container.",
        )
    text = data.strip()
    try:
        containers = _CONTAINERS.validate_json(text if text.startswith(b"[") else b"[" + text + b"]")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80]
        detail = f"{where}: {place}: {first['msg']}"
        raise InputError(
            "Expected the description of a container.",
            detail,
            "Use the output of `docker inspect ID` or `podman inspect ID`.",
        ) from error
    if len(containers) != 1:
        raise InputError(
            f"Expected exactly one container, found {len(containers)}.",
            f"Read from {where}.",
            "Inspect one container at a time.",
        )
    return containers[0]


def _inspect(name: str, host: Guest) -> tuple[_Container, _Config | None]:
    """Inspect the container and its image with the first runtime that knows the container."""
    if not _ID.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is neither a container's name nor a file.",
            hint="Run `docker ps` to list the containers.",
        )
    errors = {}
    for runtime in runtimes():
        done = host.run([runtime, "inspect", "--type", "container", name])
        if done.ok:
            container = _described(done.stdout, runtime)
            return container, _image_of(container, runtime, host)
        if done.returncode != 127:
            errors[runtime] = (done.error_text.strip().splitlines() or ["no answer"])[-1]
    if not errors:
        raise SelabError(
            "No container runtime is installed on this machine.",
            f"None of the commands {', '.join(runtimes())} exists.",
            "Run `docker inspect` elsewhere, and pass its output as a file or as `-`.",
        )
    detail = "; ".join(f"{runtime}: {line}" for runtime, line in errors.items())
    raise SelabError(
        f"There is no container '{name}'.",
        detail,
        "Run `docker ps` to list running containers; each user's Podman has its own containers.",
    )


def _image_of(container: _Container, runtime: str, host: Guest) -> _Config | None:
    """Read the image's own settings, which a scenario need not repeat; None if they are unknown."""
    if not container.image or not re.fullmatch(r"[A-Za-z0-9][\w:.-]*", container.image, re.ASCII):
        return None
    done = host.run([runtime, "image", "inspect", container.image])
    try:
        return _IMAGES.validate_json(done.stdout)[0].config if done.ok else None
    except (ValidationError, IndexError):
        return None


def _builder(project: Project, container: _Container, image: _Config | None) -> ScenarioBuilder:
    builder, config, host = ScenarioBuilder(), container.config, container.host_config
    name = (container.name or "").lstrip("/")
    with builder.trying("its name"):
        builder.set("description", f"The container {name}." if name else "A container.")
    reference = container.image_name or config.image or ""
    if reference:
        with builder.trying(f"image {quoted(reference)}"):
            builder.image(reference)
    _program(builder, config, image)
    _ports(builder, host.port_bindings or {})
    _mounts(builder, project, container)
    for key, names in (("cap_add", host.cap_add), ("cap_drop", host.cap_drop)):
        for capability in names or ():
            with builder.trying(f"{key} {quoted(capability)}"):
                builder.add(key, capability)
    if host.readonly_rootfs:
        builder.set("read_only", True)
    for key, called in _NOT_CARRIED.items():
        value = (host.model_extra or {}).get(key)
        if value not in _USUAL and value != [] and value != {}:
            builder.leave(called, f"{quoted(value)}: a scenario cannot set this")
    return builder


def _program(builder: ScenarioBuilder, config: _Config, image: _Config | None) -> None:
    """Take over the command, the user and the variables, except those that the image sets itself."""
    if config.cmd and (image is None or config.cmd != image.cmd):
        with builder.trying("command"):
            builder.command([config.cmd] if isinstance(config.cmd, str) else config.cmd)
    if config.entrypoint and (image is None or config.entrypoint != image.entrypoint):
        builder.leave(
            f"entrypoint {quoted(config.entrypoint)}", "a scenario uses the entrypoint of its image"
        )
    if config.user and (image is None or config.user != image.user):
        with builder.trying(f"user {quoted(config.user)}"):
            builder.set("user", config.user)
    known = (image.env if image else None) or ()
    for entry in config.env or ():
        key, _, value = entry.partition("=")
        if entry not in known and key not in _BY_THE_RUNTIME:
            with builder.trying(f"environment {quoted(key)}"):
                builder.variable(key, value)


def _ports(builder: ScenarioBuilder, bindings: Mapping[str, list[_Binding] | None]) -> None:
    for key, published in bindings.items():
        number, _, protocol = key.partition("/")
        for binding in published or ():
            with builder.trying(f"port {quoted(key)}"):
                if protocol not in ("", "tcp"):
                    raise ValueError("a scenario publishes TCP ports only")
                host_port = binding.host_port or ""
                builder.port(int(number), int(host_port) if host_port.isdecimal() else None)


def _mounts(builder: ScenarioBuilder, project: Project, container: _Container) -> None:
    for mount in container.mounts or ():
        source = Path(mount.source) if mount.type == "bind" and mount.source else None
        with builder.trying(f"volume {quoted(mount.destination)}"):
            builder.volume(
                project,
                mount.destination,
                source,
                read_only=mount.writable is False,
                label=label_of(mount.mode or ""),
            )
            if source is None:
                builder.leave(
                    f"volume {quoted(mount.destination)}",
                    "it is empty in the scenario: its content is not copied",
                )
    for target in container.host_config.tmpfs or ():
        with builder.trying(f"tmpfs {quoted(target)}"):
            builder.volume(project, target, None)
            builder.leave(f"tmpfs {quoted(target)}", "an empty volume replaces it")
