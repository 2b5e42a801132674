"""Read a service of a Compose file (specified at github.com/compose-spec/compose-spec)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from selab.project import Project
from selab.scaffold.compose.file import pairs
from selab.scaffold.compose.interpolation import defaulted, interpolate
from selab.scaffold.container_builder import ContainerBuilder, label_of
from selab.scaffold.image_config import port_range, quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.security_label import add_label
from selab.scaffold.values import scalar

MOST_PORTS = 64
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
"""Words of YAML 1.1, which Compose reads."""


def add_service(
    builder: ContainerBuilder,
    project: Project,
    settings: Mapping[str, Any],
    directory: Path,
    *,
    elsewhere: Collection[str] = (),
) -> None:
    """Take over a service, whose relative paths are relative to `directory`.

    The keys `elsewhere` are converted by the caller.
    """
    converter = _Service(builder, project, directory)
    for key, convert in _Service.CONVERTERS.items():
        if key not in elsewhere and settings.get(key) is not None:
            convert(converter, settings[key])
    others = {key: value for key, value in settings.items() if key not in elsewhere}
    name_unsupported_keys(builder, "service", others)
    variables = defaulted({key: settings[key] for key in _Service.CONVERTERS if key in settings})
    if variables:
        builder.leave(
            f"the variables {', '.join(dict.fromkeys(variables))[:200]}",
            "selab reads neither your environment nor .env, so only their defaults count",
        )


class _Service:
    """Converts a service to a scenario, with one method for each key that a scenario supports."""

    def __init__(self, builder: ContainerBuilder, project: Project, directory: Path) -> None:
        self.builder = builder
        self._project, self._directory = project, directory

    def _each(self, key: str, value: Any, take: Callable[[Any], None]) -> None:
        """Convert each item of a list, or the only value."""
        for item in value if isinstance(value, list) else [value] if value is not None else []:
            with self.builder.trying(f"{key} {quoted(item)}"):
                take(item)

    def _network_mode(self, value: Any) -> None:
        self._namespace("network", "network_mode", value, ("host", "none"), ("bridge", "default"))

    def _pid(self, value: Any) -> None:
        self._namespace("pid", "pid", value, ("host",), ())

    def _ipc(self, value: Any) -> None:
        self._namespace("ipc", "ipc", value, ("host",), ("private", "shareable"))

    def _namespace(
        self, kind: str, key: str, value: Any, words: Collection[str], usual: Collection[str]
    ) -> None:
        """Take over `words`; what is neither one of them nor `usual` joins a container that is not here."""
        with self.builder.trying(f"{key} {quoted(value)}"):
            mode = word(value)
            if mode in words:
                self.builder.set(kind, mode)
            elif mode not in usual:
                raise ValueError("it is not the namespace of a container of the scenario")

    def _image(self, value: Any) -> None:
        self._each("image", value, lambda item: self.builder.image(word(item)))

    def _build(self, value: Any) -> None:
        self.builder.leave(
            "build", "create a directory of images/ with a Dockerfile and a list `packages` instead"
        )

    def _command(self, value: Any) -> None:
        with self.builder.trying("command"):
            if value in ("", []):
                raise ValueError("it is empty, and a scenario without a command uses the one of its image")
            if value is not None:
                self.builder.command(
                    [word(item) for item in value] if isinstance(value, list) else shlex.split(word(value))
                )

    def _entrypoint(self, value: Any) -> None:
        if value is not None:
            self.builder.leave(f"entrypoint {quoted(value)}", "a scenario uses the entrypoint of its image")

    def _user(self, value: Any) -> None:
        self._each("user", value, lambda item: self.builder.set("user", word(item)))

    def _read_only(self, value: Any) -> None:
        with self.builder.trying(f"read_only {quoted(value)}"):
            text = word(value).lower()
            if text not in (*_TRUE, *_FALSE):
                raise ValueError("it must be true or false")
            if text in _TRUE:
                self.builder.set("read_only", True)

    def _cap_add(self, value: Any) -> None:
        self._each("cap_add", value, lambda item: self.builder.add("cap_add", word(item)))

    def _cap_drop(self, value: Any) -> None:
        self._each("cap_drop", value, lambda item: self.builder.add("cap_drop", word(item)))

    def _environment(self, value: Any) -> None:
        for name, setting in pairs(value):
            with self.builder.trying(f"environment {quoted(name)}"):
                if setting is None:
                    raise ValueError("its value comes from the environment of the caller")
                self.builder.variable(name, word(setting))

    def _env_file(self, value: Any) -> None:
        if value is not None:
            self.builder.leave("env_file", "it is not read, because it may contain secrets")

    def _tmpfs(self, value: Any) -> None:
        self._each("tmpfs", value, self._empty)

    def _empty(self, target: Any) -> None:
        path = word(target).partition(":")[0]
        self.builder.volume(self._project, path, None)
        self.builder.leave(f"tmpfs {quoted(path)}", "an empty volume replaces it")

    def _ports(self, value: Any) -> None:
        self._each("ports", value, self._one_port)

    def _one_port(self, port: Any) -> None:
        self._port(*(_long_port(port) if isinstance(port, dict) else _short_port(word(port))))

    def _port(self, target: str, published: str) -> None:
        inner = port_range(target, MOST_PORTS)
        # A single port may be published at any port of a range, as large as the range is.
        outer = port_range(published, 65536 if len(inner) == 1 else MOST_PORTS)
        if not inner or (published and not outer):
            raise ValueError("it is not a port, or the range is too large")
        if any(protocol != "tcp" for protocol, _ in inner):
            raise ValueError("a scenario publishes TCP ports only")
        for (_, container), host_port in zip_longest(inner, outer[: len(inner)]):
            self.builder.port(container, host_port[1] if host_port else None)

    def _volumes(self, value: Any) -> None:
        self._each("volumes", value, self._one_volume)

    def _one_volume(self, volume: Any) -> None:
        if isinstance(volume, dict) and volume.get("type") == "tmpfs":
            self._empty(volume.get("target"))
        else:
            self._volume(*(_long_volume(volume) if isinstance(volume, dict) else _short_volume(word(volume))))

    def _volume(self, source: str, target: str, options: str) -> None:
        is_path = source.startswith(("/", ".", "~"))
        # Path.expanduser raises an error for an unknown user.
        path = self._directory / os.path.expanduser(source) if is_path else None  # noqa: PTH111
        self.builder.volume(
            self._project,
            target,
            path,
            read_only="ro" in options.split(","),
            label=label_of(options),
            name="" if is_path else source,
        )
        if source and not is_path:
            self.builder.leave(
                f"volume {quoted(source)}",
                f"{quoted(target)} is empty in the scenario: its content is not copied",
            )

    def _security_opt(self, value: Any) -> None:
        options: list[str] = []
        self._each("security_opt", value, lambda item: options.append(word(item)))
        add_label(self.builder, options)

    def _mounted_files(self, key: str, directory: str, value: Any) -> None:
        for item in value if isinstance(value, list) else [value]:
            source = item.get("source") if isinstance(item, dict) else item
            target = (item.get("target") if isinstance(item, dict) else None) or source
            path = target if str(target).startswith("/") else f"{directory}{target}"
            self.builder.leave(
                f"{key} {quoted(source)}", f"the file {quoted(path)} is missing in the scenario"
            )

    def _configs(self, value: Any) -> None:
        self._mounted_files("configs", "/", value)

    def _secrets(self, value: Any) -> None:
        self._mounted_files("secrets", "/run/secrets/", value)

    CONVERTERS: Mapping[str, Callable[[_Service, Any], None]] = {
        "network_mode": _network_mode, "pid": _pid, "ipc": _ipc,
        "image": _image, "build": _build, "command": _command, "entrypoint": _entrypoint, "user": _user,
        "read_only": _read_only, "cap_add": _cap_add, "cap_drop": _cap_drop, "environment": _environment,
        "env_file": _env_file, "tmpfs": _tmpfs, "ports": _ports, "volumes": _volumes,
        "security_opt": _security_opt, "configs": _configs, "secrets": _secrets,
    }  # fmt: skip


def word(value: Any) -> str:
    """Return a scalar as text with the defaults of its variables.

    Raises ValueError if it is not a scalar, or if a variable has no default.
    """
    return interpolate(scalar(value))


def _short_port(text: str) -> tuple[str, str]:
    """Parse `[[HOST:]PUBLISHED:]TARGET[/PROTOCOL]`."""
    rest, _, target = text.rpartition(":")
    return target, rest.rpartition(":")[2]


def _long_port(port: Mapping[str, Any]) -> tuple[str, str]:
    protocol = word(port.get("protocol", "tcp"))
    published = port.get("published")
    return f"{word(port.get('target'))}/{protocol}", "" if published is None else word(published)


def _short_volume(text: str) -> tuple[str, str, str]:
    """Parse `[SOURCE:]TARGET[:OPTIONS]`."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError("it has too many colons")
    return (
        ("", parts[0], "") if len(parts) == 1 else (parts[0], parts[1], parts[2] if len(parts) == 3 else "")
    )


def _long_volume(volume: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = word(volume.get("type", "volume"))
    if kind not in ("bind", "volume"):
        raise ValueError("a scenario does not support its type")
    source, target = word(volume.get("source", "")), word(volume.get("target"))
    if kind == "bind" and not source.startswith(("/", ".", "~")):
        source = f"./{source}"
    bind = volume.get("bind")
    label = word(bind.get("selinux", "")) if isinstance(bind, dict) else ""
    return source, target, ",".join(("ro" if str(volume.get("read_only")).lower() == "true" else "rw", label))
