"""Read a service of a Compose file (specified at github.com/compose-spec/compose-spec)."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from selab.errors import InputError
from selab.host.yamlfile import load
from selab.project import Project, nearest
from selab.scaffold.image_config import port_range, quoted
from selab.scaffold.scenario_builder import ScenarioBuilder, label_of

MOST_PORTS = 64
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{\w+:?-(?P<default>[^{}$]*)\}|(?P<unset>[\w{]))")
_NOT_SUPPORTED = "a scenario cannot set this"
_IRRELEVANT = frozenset(
    {
        "container_name",
        "labels",
        "restart",
        "depends_on",
        "expose",
        "stop_grace_period",
        "pull_policy",
        "logging",
    }
)
"""These keys do not change how a single container runs."""


class _File(BaseModel):
    services: dict[str, dict[str, Any]] = {}


def from_compose(project: Project, file: Path, service: str | None) -> ScenarioBuilder:
    """Build the scenario of a service of `file`, by default of the only one.

    Raises InputError if the file is invalid or the service is unknown.
    """
    try:
        services = load(file, _File).services
    except InputError as error:
        hint = "Use the output of `docker compose config`, which expands aliases and variables."
        raise InputError(
            error.what, error.detail, hint if "alias" in error.what or "tag" in error.what else error.hint
        ) from error
    if not services:
        raise InputError(f"{file.name} has no services.", str(file), "Use a Compose file with `services:`.")
    if service is None and len(services) > 1:
        raise InputError(
            "The Compose file has several services.",
            f"{file} has {', '.join(services)[:200]}.",
            "Choose one with --service.",
        )
    chosen = service if service is not None else next(iter(services))
    if chosen not in services:
        raise InputError(f"There is no service '{chosen}'.", str(file), nearest(chosen, list(services)))
    return _Service(project, file, chosen, services[chosen]).builder


class _Service:
    """Converts a service to a scenario, with one method for each key that a scenario supports."""

    def __init__(self, project: Project, file: Path, name: str, settings: Mapping[str, Any]) -> None:
        self.builder = ScenarioBuilder()
        self._project, self._directory = project, file.resolve().parent
        with self.builder.trying("its name"):
            self.builder.set("description", f"The service {name} of {file.name}.")
        for key, value in settings.items():
            convert = self._CONVERTERS.get(key)
            if convert:
                convert(self, value)
            elif value is not None and key not in _IRRELEVANT:
                self.builder.leave(quoted(key)[1:-1], _NOT_SUPPORTED)

    def _each(self, key: str, value: Any, take: Callable[[Any], None]) -> None:
        """Convert each item of a list, or the only value."""
        for item in value if isinstance(value, list) else [value] if value is not None else []:
            with self.builder.trying(f"{key} {quoted(item)}"):
                take(item)

    def _image(self, value: Any) -> None:
        self._each("image", value, lambda item: self.builder.image(word(item)))

    def _build(self, value: Any) -> None:
        self.builder.leave(
            "build", "create a directory of images/ with a Dockerfile and a list `packages` instead"
        )

    def _command(self, value: Any) -> None:
        with self.builder.trying("command"):
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
        if str(value).lower() in ("true", "yes", "on"):
            self.builder.set("read_only", True)

    def _cap_add(self, value: Any) -> None:
        self._each("cap_add", value, lambda item: self.builder.add("cap_add", word(item)))

    def _cap_drop(self, value: Any) -> None:
        self._each("cap_drop", value, lambda item: self.builder.add("cap_drop", word(item)))

    def _environment(self, value: Any) -> None:
        pairs = (
            value.items()
            if isinstance(value, dict)
            else (_pair(item) for item in value if item)
            if isinstance(value, list)
            else ()
        )
        for name, setting in pairs:
            with self.builder.trying(f"environment {quoted(name)}"):
                if setting is None:
                    raise ValueError("its value comes from the environment of the caller")
                self.builder.variable(str(name), word(setting))

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
        self._each(
            "ports",
            value,
            lambda item: self._port(
                *(_long_port(item) if isinstance(item, dict) else _short_port(word(item)))
            ),
        )

    def _port(self, target: str, published: str) -> None:
        inner = port_range(target, MOST_PORTS)
        outer = port_range(published, MOST_PORTS) if published else [None] * len(inner)
        if not inner or (published and not outer):
            raise ValueError("it is not a port")
        if any(protocol != "tcp" for protocol, _ in inner):
            raise ValueError("a scenario publishes TCP ports only")
        spread = outer if len(outer) == len(inner) else [*outer[:1], *[None] * (len(inner) - 1)]
        for (_, container), host_port in zip(inner, spread, strict=True):
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
            self._project, target, path, read_only="ro" in options.split(","), label=label_of(options)
        )
        if source and not is_path:
            self.builder.leave(
                f"volume {quoted(source)}",
                f"{quoted(target)} is empty in the scenario: its content is not copied",
            )

    _CONVERTERS: Mapping[str, Callable[[_Service, Any], None]] = {
        "image": _image, "build": _build, "command": _command, "entrypoint": _entrypoint, "user": _user,
        "read_only": _read_only, "cap_add": _cap_add, "cap_drop": _cap_drop, "environment": _environment,
        "env_file": _env_file, "tmpfs": _tmpfs, "ports": _ports, "volumes": _volumes,
    }  # fmt: skip


def word(value: Any) -> str:
    """Return a scalar as text with the defaults of its variables.

    Raises ValueError if it is not a scalar, or if a variable has no default.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise ValueError("it is not a single value")
    return _VARIABLE.sub(_default_of, str(value))


def _default_of(match: re.Match[str]) -> str:
    if match["unset"]:
        raise ValueError("it is set by a variable")
    return "$" if match["escaped"] else match["default"]


def _pair(entry: Any) -> tuple[str, str | None]:
    name, sign, value = str(entry).partition("=")
    return name, value if sign else None


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
    return source, target, ",".join(("ro" if volume.get("read_only") is True else "rw", label))
