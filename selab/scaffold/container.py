"""A container as `docker inspect` and `podman inspect` tell of it."""

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
from selab.scaffold.image_config import Told, quoted
from selab.scaffold.scenario_builder import ScenarioBuilder, label_of

STDIN = "-"
MAX_BYTES = 4 * 2**20
"""A container's description has some ten kilobytes."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BY_THE_RUNTIME = frozenset({"HOSTNAME", "TERM", "container"})
"""Variables that Podman sets by itself."""
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
"""What a container has beside what a scenario can say, by its key in HostConfig."""


class _Config(Told):
    image: str | None = None
    cmd: list[str] | str | None = None
    entrypoint: list[str] | str | None = None
    env: list[str] | None = None
    user: str | None = None


class _Binding(Told):
    host_port: str | None = None


class _HostConfig(Told):
    model_config = ConfigDict(extra="allow")
    port_bindings: dict[str, list[_Binding] | None] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    readonly_rootfs: bool | None = None
    tmpfs: dict[str, Any] | None = None


class _Mount(Told):
    type: str = "bind"
    source: str | None = None
    destination: str
    mode: str | None = None
    writable: bool | None = Field(default=True, alias="RW")


class _Container(Told):
    """A container, in the form that Docker's API has (ContainerInspect), which Podman's follows."""

    name: str | None = None
    image: str | None = None
    image_name: str | None = None
    config: _Config = _Config()
    host_config: _HostConfig = _HostConfig()
    mounts: list[_Mount] | None = None


class _Image(Told):
    config: _Config | None = None


_CONTAINERS: TypeAdapter[list[_Container]] = TypeAdapter(list[_Container])
_IMAGES: TypeAdapter[list[_Image]] = TypeAdapter(list[_Image])


def from_container(project: Project, name: str, host: Guest) -> ScenarioBuilder:
    """The scenario of a container: a running one of `host`, or one that the file `name` (`-` for standard input) describes.

    Raises InputError for a description that cannot be read, SelabError where no runtime of the host has it.
    """
    if name == STDIN:
        found, image = _described(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"), None
    elif (
        Path(name).exists() and not Path(name).is_dir()
    ):  # a pipe is as good as a file: `<(docker inspect web)`
        with Path(name).open("rb") as file:
            found, image = _described(file.read(MAX_BYTES + 1), name), None
    else:
        found, image = _asked(name, host)
    return _drafted(project, found, image)


def _described(data: bytes, where: str) -> _Container:
    """The one container that `data` describes, alone or as a list."""
    if len(data) > MAX_BYTES:
        raise InputError(
            "The container's description is too large.", f"{where} has more than {MAX_BYTES} bytes."
        )
    text = data.strip()
    try:
        found = _CONTAINERS.validate_json(text if text.startswith(b"[") else b"[" + text + b"]")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80]
        detail = f"{where}: {place}: {first['msg']}"
        raise InputError(
            "That is no container's description.",
            detail,
            "`docker inspect ID` and `podman inspect ID` print one.",
        ) from error
    if len(found) != 1:
        raise InputError(
            "That describes not one container.", f"{where} has {len(found)}.", "Inspect one at a time."
        )
    return found[0]


def _asked(name: str, host: Guest) -> tuple[_Container, _Config | None]:
    """What the first runtime that knows the container says of it, and of its image."""
    if not _ID.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is neither a container's name nor a file.",
            hint="`docker ps` lists the containers.",
        )
    said = {}
    for runtime in runtimes():
        done = host.run([runtime, "inspect", "--type", "container", name])
        if done.ok:
            found = _described(done.stdout, runtime)
            return found, _image_of(found, runtime, host)
        if done.returncode != 127:
            said[runtime] = (done.error_text.strip().splitlines() or ["no answer"])[-1]
    if not said:
        hint = "Give what `docker inspect` says elsewhere as a file, or as `-`."
        raise SelabError(
            "No container runtime is installed here.", f"None of {', '.join(runtimes())} was found.", hint
        )
    detail = "; ".join(f"{runtime}: {line}" for runtime, line in said.items())
    raise SelabError(
        f"There is no container '{name}'.",
        detail,
        "`docker ps` lists those that run; another user's Podman has its own.",
    )


def _image_of(container: _Container, runtime: str, host: Guest) -> _Config | None:
    """What the image says by itself, of which a scenario need not speak; nothing where the runtime does not know."""
    if not container.image or not re.fullmatch(r"[A-Za-z0-9][\w:.-]*", container.image, re.ASCII):
        return None
    done = host.run([runtime, "image", "inspect", container.image])
    try:
        return _IMAGES.validate_json(done.stdout)[0].config if done.ok else None
    except (ValidationError, IndexError):
        return None


def _drafted(project: Project, found: _Container, image: _Config | None) -> ScenarioBuilder:
    draft, config, host = ScenarioBuilder(), found.config, found.host_config
    name = (found.name or "").lstrip("/")
    with draft.trying("its name"):
        draft.set("description", f"The container {name}." if name else "A container.")
    reference = found.image_name or config.image or ""
    if reference:
        with draft.trying(f"image {quoted(reference)}"):
            draft.image(reference)
    _program(draft, config, image)
    _ports(draft, host.port_bindings or {})
    _mounts(draft, project, found)
    for key, names in (("cap_add", host.cap_add), ("cap_drop", host.cap_drop)):
        for capability in names or ():
            with draft.trying(f"{key} {quoted(capability)}"):
                draft.add(key, capability)
    if host.readonly_rootfs:
        draft.set("read_only", True)
    for key, called in _NOT_CARRIED.items():
        value = (host.model_extra or {}).get(key)
        if value not in _USUAL and value != [] and value != {}:
            draft.leave(called, f"{quoted(value)}: a scenario has no such thing")
    return draft


def _program(draft: ScenarioBuilder, config: _Config, image: _Config | None) -> None:
    """What runs, as whom, with which variables; without what the image has by itself."""
    if config.cmd and (image is None or config.cmd != image.cmd):
        with draft.trying("command"):
            draft.set("command", [config.cmd] if isinstance(config.cmd, str) else config.cmd)
    if config.entrypoint and (image is None or config.entrypoint != image.entrypoint):
        draft.leave(f"entrypoint {quoted(config.entrypoint)}", "a scenario runs its image's own")
    if config.user and (image is None or config.user != image.user):
        with draft.trying(f"user {quoted(config.user)}"):
            draft.set("user", config.user)
    known = (image.env if image else None) or ()
    for entry in config.env or ():
        key, _, value = entry.partition("=")
        if entry not in known and key not in _BY_THE_RUNTIME:
            with draft.trying(f"environment {quoted(key)}"):
                draft.variable(key, value)


def _ports(draft: ScenarioBuilder, bindings: Mapping[str, list[_Binding] | None]) -> None:
    for key, published in bindings.items():
        number, _, protocol = key.partition("/")
        for binding in published or ():
            with draft.trying(f"port {quoted(key)}"):
                if protocol not in ("", "tcp"):
                    raise ValueError("a scenario publishes ports of TCP only")
                wanted = binding.host_port or ""
                draft.port(int(number), int(wanted) if wanted.isdecimal() else None)


def _mounts(draft: ScenarioBuilder, project: Project, found: _Container) -> None:
    for mount in found.mounts or ():
        source = Path(mount.source) if mount.type == "bind" and mount.source else None
        with draft.trying(f"volume {quoted(mount.destination)}"):
            draft.volume(
                project,
                mount.destination,
                source,
                read_only=mount.writable is False,
                label=label_of(mount.mode or ""),
            )
            if source is None:
                draft.leave(
                    f"volume {quoted(mount.destination)}", "it is empty here: what is in it is not copied"
                )
    for target in found.host_config.tmpfs or ():
        with draft.trying(f"tmpfs {quoted(target)}"):
            draft.volume(project, target, None)
            draft.leave(f"tmpfs {quoted(target)}", "an empty volume instead")
