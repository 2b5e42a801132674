"""A service of a Compose file (github.com/compose-spec/compose-spec has the whole of it)."""

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
_NO_SUCH_THING = "a scenario has no such thing"
_OF_NO_WEIGHT = frozenset(
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
"""Keys without which one container alone runs the same."""


class _File(BaseModel):
    services: dict[str, dict[str, Any]] = {}


def from_compose(project: Project, file: Path, service: str | None) -> ScenarioBuilder:
    """The scenario of a service of `file`; without a name, of the only one. Raises InputError."""
    try:
        services = load(file, _File).services
    except InputError as error:
        hint = "`docker compose config` prints the file with aliases and variables written out."
        raise InputError(
            error.what, error.detail, hint if "alias" in error.what or "tag" in error.what else error.hint
        ) from error
    if not services:
        raise InputError(f"{file.name} has no services.", str(file))
    if service is None and len(services) > 1:
        raise InputError(
            "Which service?", f"{file} has {', '.join(services)[:200]}.", "Name it with --service."
        )
    chosen = service if service is not None else next(iter(services))
    if chosen not in services:
        raise InputError(f"There is no service '{chosen}'.", str(file), nearest(chosen, list(services)))
    return _Service(project, file, chosen, services[chosen]).draft


class _Service:
    """A service on its way into a draft: a method for each key that a scenario has something for."""

    def __init__(self, project: Project, file: Path, name: str, told: Mapping[str, Any]) -> None:
        self.draft = ScenarioBuilder()
        self._project, self._directory = project, file.resolve().parent
        with self.draft.trying("its name"):
            self.draft.set("description", f"The service {name} of {file.name}.")
        for key, value in told.items():
            taken = self._TAKEN.get(key)
            if taken:
                taken(self, value)
            elif value is not None and key not in _OF_NO_WEIGHT:
                self.draft.leave(quoted(key)[1:-1], _NO_SUCH_THING)

    def _each(self, key: str, value: Any, take: Callable[[Any], None]) -> None:
        """Take each of a list, or the only one."""
        for one in value if isinstance(value, list) else [value] if value is not None else []:
            with self.draft.trying(f"{key} {quoted(one)}"):
                take(one)

    def _image(self, value: Any) -> None:
        self._each("image", value, lambda one: self.draft.image(word(one)))

    def _build(self, value: Any) -> None:
        self.draft.leave(
            "build", "make a directory of images/ of it, with a Dockerfile and a list `packages`"
        )

    def _command(self, value: Any) -> None:
        with self.draft.trying("command"):
            if value is not None:
                self.draft.set(
                    "command",
                    [word(one) for one in value] if isinstance(value, list) else shlex.split(word(value)),
                )

    def _entrypoint(self, value: Any) -> None:
        if value is not None:
            self.draft.leave(f"entrypoint {quoted(value)}", "a scenario runs its image's own")

    def _user(self, value: Any) -> None:
        self._each("user", value, lambda one: self.draft.set("user", word(one)))

    def _read_only(self, value: Any) -> None:
        if str(value).lower() in ("true", "yes", "on"):
            self.draft.set("read_only", True)

    def _cap_add(self, value: Any) -> None:
        self._each("cap_add", value, lambda one: self.draft.add("cap_add", word(one)))

    def _cap_drop(self, value: Any) -> None:
        self._each("cap_drop", value, lambda one: self.draft.add("cap_drop", word(one)))

    def _environment(self, value: Any) -> None:
        pairs = (
            value.items()
            if isinstance(value, dict)
            else (_pair(one) for one in value if one)
            if isinstance(value, list)
            else ()
        )
        for name, setting in pairs:
            with self.draft.trying(f"environment {quoted(name)}"):
                if setting is None:
                    raise ValueError("it is taken from whoever starts it")
                self.draft.variable(str(name), word(setting))

    def _env_file(self, value: Any) -> None:
        if value is not None:
            self.draft.leave("env_file", "it is not read: it may hold secrets")

    def _tmpfs(self, value: Any) -> None:
        self._each("tmpfs", value, self._empty)

    def _empty(self, target: Any) -> None:
        path = word(target).partition(":")[0]
        self.draft.volume(self._project, path, None)
        self.draft.leave(f"tmpfs {quoted(path)}", "an empty volume instead")

    def _ports(self, value: Any) -> None:
        self._each(
            "ports",
            value,
            lambda one: self._port(*(_long_port(one) if isinstance(one, dict) else _short_port(word(one)))),
        )

    def _port(self, target: str, published: str) -> None:
        inner = port_range(target, MOST_PORTS)
        outer = port_range(published, MOST_PORTS) if published else [None] * len(inner)
        if not inner or (published and not outer):
            raise ValueError("it is no port")
        if any(protocol != "tcp" for protocol, _ in inner):
            raise ValueError("a scenario publishes ports of TCP only")
        spread = outer if len(outer) == len(inner) else [*outer[:1], *[None] * (len(inner) - 1)]
        for (_, container), wanted in zip(inner, spread, strict=True):
            self.draft.port(container, wanted[1] if wanted else None)

    def _volumes(self, value: Any) -> None:
        self._each("volumes", value, self._one_volume)

    def _one_volume(self, told: Any) -> None:
        if isinstance(told, dict) and told.get("type") == "tmpfs":
            self._empty(told.get("target"))
        else:
            self._volume(*(_long_volume(told) if isinstance(told, dict) else _short_volume(word(told))))

    def _volume(self, source: str, target: str, options: str) -> None:
        is_path = source.startswith(("/", ".", "~"))
        path = self._directory / os.path.expanduser(source) if is_path else None  # noqa: PTH111 (pathlib's raises for an unknown user)
        self.draft.volume(
            self._project, target, path, read_only="ro" in options.split(","), label=label_of(options)
        )
        if source and not is_path:
            self.draft.leave(
                f"volume {quoted(source)}", f"{quoted(target)} is empty here: what is in it is not copied"
            )

    _TAKEN: Mapping[str, Callable[[_Service, Any], None]] = {
        "image": _image, "build": _build, "command": _command, "entrypoint": _entrypoint, "user": _user, "read_only": _read_only,
        "cap_add": _cap_add, "cap_drop": _cap_drop, "environment": _environment, "env_file": _env_file, "tmpfs": _tmpfs, "ports": _ports,
        "volumes": _volumes,
    }  # fmt: skip


def word(value: Any) -> str:
    """A scalar as text, with the defaults of its variables put in. Raises ValueError where it is none, or a variable has none."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise ValueError("it is no word")
    return _VARIABLE.sub(_put_in, str(value))


def _put_in(found: re.Match[str]) -> str:
    if found["unset"]:
        raise ValueError("it is set by a variable")
    return "$" if found["escaped"] else found["default"]


def _pair(entry: Any) -> tuple[str, str | None]:
    name, sign, value = str(entry).partition("=")
    return name, value if sign else None


def _short_port(text: str) -> tuple[str, str]:
    """`[[HOST:]PUBLISHED:]TARGET[/PROTOCOL]`."""
    rest, _, target = text.rpartition(":")
    return target, rest.rpartition(":")[2]


def _long_port(told: Mapping[str, Any]) -> tuple[str, str]:
    protocol = word(told.get("protocol", "tcp"))
    published = told.get("published")
    return f"{word(told.get('target'))}/{protocol}", "" if published is None else word(published)


def _short_volume(text: str) -> tuple[str, str, str]:
    """`[SOURCE:]TARGET[:OPTIONS]`."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError("it has too many colons")
    return (
        ("", parts[0], "") if len(parts) == 1 else (parts[0], parts[1], parts[2] if len(parts) == 3 else "")
    )


def _long_volume(told: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = word(told.get("type", "volume"))
    if kind not in ("bind", "volume"):
        raise ValueError("it is of a kind that a scenario does not have")
    source, target = word(told.get("source", "")), word(told.get("target"))
    if kind == "bind" and not source.startswith(("/", ".", "~")):
        source = f"./{source}"
    bind = told.get("bind")
    label = word(bind.get("selinux", "")) if isinstance(bind, dict) else ""
    return source, target, ",".join(("ro" if told.get("read_only") is True else "rw", label))
