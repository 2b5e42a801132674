"""Build a scenario from a container, which a runtime of this machine or a file describes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from selab.container.runtime import runtimes
from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder, label_of
from selab.scaffold.image_config import MOST_PORTS, InspectModel, port_range, quoted
from selab.scaffold.import_keys import name_unsupported
from selab.scaffold.inspected.output import (
    MAX_BYTES,
    Binding,
    Bindings,
    Config,
    Container,
    Mount,
    parse_container,
)
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scaffold.security_label import add_label

STDIN = "-"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BY_THE_RUNTIME = frozenset({"HOSTNAME", "TERM", "container"})
"""Podman sets these variables itself."""


class _Image(InspectModel):
    config: Config | None = None


_IMAGES: TypeAdapter[list[_Image]] = TypeAdapter(list[_Image])


def from_container(project: Project, name: str, host: Guest) -> ScenarioBuilder:
    """Build the scenario of a container of `host`, or of a description in the file `name` (`-` is stdin).

    Raises InputError if the description is unreadable, SelabError if no runtime of the host has the
    container.
    """
    if (description := read_description(name, MAX_BYTES)) is not None:
        return scenario_of(project, parse_container(*description), None)
    return scenario_of(project, *_inspect(name, host))


def read_description(name: str, limit: int) -> tuple[bytes, str] | None:
    """Return one byte more than `limit` of the file `name` or of stdin, and what it is; None for an id."""
    if name == STDIN:
        return sys.stdin.buffer.read(limit + 1), "standard input"
    try:
        if Path(name).exists() and not Path(name).is_dir():  # also a pipe: `<(docker inspect web)`
            with Path(name).open("rb") as file:
                return file.read(limit + 1), name
    except OSError as error:
        raise InputError(f"{quoted(name)} cannot be read.", error.strerror or "") from error
    return None


def _inspect(name: str, host: Guest) -> tuple[Container, Config | None]:
    """Inspect the container and its image with the first runtime that knows the container."""
    if not ID.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is neither a container's name nor a file.",
            hint="Run `docker ps` to list the containers.",
        )
    errors = {}
    for runtime in runtimes():
        done = host.run([runtime, "inspect", "--type", "container", name])
        if done.ok:
            container = parse_container(done.stdout, runtime)
            return container, image_of(container, runtime, host)
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


def image_of(container: Container, runtime: str, host: Guest) -> Config | None:
    """Read the image's own settings, which a scenario need not repeat; None if they are unknown."""
    if not container.image or not re.fullmatch(r"[A-Za-z0-9][\w:.-]*", container.image, re.ASCII):
        return None
    done = host.run([runtime, "image", "inspect", container.image])
    try:
        return _IMAGES.validate_json(done.stdout)[0].config if done.ok else None
    except (ValidationError, IndexError):
        return None


def scenario_of(project: Project, container: Container, image: Config | None) -> ScenarioBuilder:
    """Build the scenario of a container. What its image sets itself is not repeated."""
    scenario, name = ScenarioBuilder(), (container.name or "").lstrip("/")
    scenario.describe(f"The container {name}." if name else "A container.")
    add_container(scenario.container(name), project, container, image)
    return scenario


def add_container(
    builder: ContainerBuilder, project: Project, container: Container, image: Config | None
) -> None:
    """Take over a container. What its image sets itself is not repeated; `image` is None if unknown."""
    config, host = container.config, container.host_config
    reference = container.image_name or config.image or container.image or ""
    if reference:
        with builder.trying(f"image {quoted(reference)}"):
            builder.image(reference)
    _program(builder, container, image)
    _ports(builder, _published(container))
    _mounts(builder, project, container)
    for key, names in (("cap_add", host.cap_add), ("cap_drop", host.cap_drop)):
        for capability in names or ():
            with builder.trying(f"{key} {quoted(capability)}"):
                builder.add(key, capability)
    if host.readonly_rootfs:
        builder.set("read_only", True)
    add_label(builder, host.security_opt or (), container.process_label or "")
    for paths, called in ((host.masked_paths, "masked paths"), (host.readonly_paths, "read-only paths")):
        if paths == []:
            builder.leave(f"no {called}", "a scenario cannot make /proc and /sys accessible")
    name_unsupported(builder, "container", container.model_extra or {})
    name_unsupported(builder, "config", config.model_extra or {})
    name_unsupported(builder, "host_config", host.model_extra or {})
    name_unsupported(builder, "cri_status", container.cri_status)
    name_unsupported(builder, "cri_config", container.cri_config)
    if container.network_settings:
        name_unsupported(builder, "network", container.network_settings.model_extra or {})


def _program(builder: ContainerBuilder, container: Container, image: Config | None) -> None:
    """Take over the command, the user and the variables, except those that the image sets itself."""
    config = container.config
    if config.cmd and (image is None or config.cmd != image.cmd):
        with builder.trying("command"):
            builder.command([config.cmd] if isinstance(config.cmd, str) else config.cmd)
    if container.path and not config.cmd and not config.entrypoint:
        builder.leave("command", "the description does not separate it from the entrypoint")
    if config.entrypoint and (image is None or config.entrypoint != image.entrypoint):
        builder.leave(
            f"entrypoint {quoted(config.entrypoint)}", "a scenario uses the entrypoint of its image"
        )
    if config.user and (image is None or config.user != image.user):
        with builder.trying(f"user {quoted(config.user)}"):
            builder.set("user", config.user)
    if config.working_dir not in (None, "", "/", image.working_dir if image else ""):
        builder.leave(
            f"working directory {quoted(config.working_dir)}",
            "a scenario uses the working directory of its image",
        )
    known = (image.env if image else None) or ()
    for entry in config.env or ():
        key, _, value = entry.partition("=")
        if entry not in known and key not in _BY_THE_RUNTIME:
            with builder.trying(f"environment {quoted(key)}"):
                builder.variable(key, value)


def _published(container: Container) -> Bindings:
    """Return the ports that were requested; otherwise those that the runtime published or would publish.

    If the container publishes none, the scenario publishes the TCP ports that it exposes: a step from the
    guest can reach it only so.
    """
    network, host = container.network_settings, container.host_config
    bindings = host.port_bindings or (network.ports if network else None) or {}
    if any(bindings.values()):
        return bindings
    exposed = container.config.exposed_ports or ()
    requested = exposed if host.publish_all_ports else [key for key in exposed if _is_tcp(key)]
    return {key: [Binding()] for key in requested}


def _is_tcp(key: str) -> bool:
    return key.partition("/")[2] in ("", "tcp")


def _ports(builder: ContainerBuilder, bindings: Bindings) -> None:
    for key, published in bindings.items():
        # The address differs between bindings for IPv4 and IPv6, the port does not.
        for host_port in dict.fromkeys(binding.host_port or "" for binding in published or ()):
            with builder.trying(f"port {quoted(key)}"):
                for container_port in _tcp_ports(key):
                    builder.port(container_port, int(host_port) if host_port.isdecimal() else None)


def _tcp_ports(key: str) -> list[int]:
    ports = port_range(key, MOST_PORTS)
    if not ports:
        raise ValueError("it is not a port")
    if any(protocol != "tcp" for protocol, _ in ports):
        raise ValueError("a scenario publishes TCP ports only")
    return [number for _, number in ports]


def _mounts(builder: ContainerBuilder, project: Project, container: Container) -> None:
    targets = set()
    for mount in container.mounts or ():
        targets.add(mount.destination)
        with builder.trying(f"volume {quoted(mount.destination)}"):
            _mount(builder, project, mount)
        name_unsupported(builder, "mount", mount.model_extra or {})
    for target in container.host_config.tmpfs or ():
        if target not in targets:
            with builder.trying(f"tmpfs {quoted(target)}"):
                _tmpfs(builder, project, target)


def _mount(builder: ContainerBuilder, project: Project, mount: Mount) -> None:
    if mount.type == "tmpfs":
        _tmpfs(builder, project, mount.destination)
        return
    if mount.type not in ("bind", "volume"):
        raise ValueError(f"a scenario does not support mounts of type {quoted(mount.type)}")
    source = Path(mount.source) if mount.type == "bind" and mount.source else None
    builder.volume(
        project,
        mount.destination,
        source,
        read_only=mount.writable is False,
        label=label_of(mount.mode or ""),
        name=str((mount.model_extra or {}).get("Name") or ""),
    )
    if source is None:
        builder.leave(
            f"volume {quoted(mount.destination)}",
            "it is empty in the scenario: its content is not copied",
        )


def _tmpfs(builder: ContainerBuilder, project: Project, target: str) -> None:
    builder.volume(project, target, None)
    builder.leave(f"tmpfs {quoted(target)}", "an empty volume replaces it")
