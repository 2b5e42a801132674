"""Load a service of a Compose file with what it extends and with included files.

The rules are those of the Compose specification (github.com/compose-spec/compose-spec, 2026-06-23). A file
that another one names is read only if it is in the project or, if the user's file is outside of the project,
in the directory of that file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from selab.errors import InputError
from selab.host.yamlfile import load
from selab.project import Project, inside, nearest
from selab.scaffold.image_config import quoted
from selab.scaffold.interpolation import interpolate

MAX_FILES = 16
"""Files that one Compose file includes or extends."""
MAX_EXTENDS = 8
_REPLACED = frozenset({"command", "entrypoint"})
"""Lists that are replaced, not continued."""
_BY_NAME = frozenset({"annotations", "environment", "labels", "sysctls"})
"""Keys that are an object or a list of `name=value`."""


class _File(BaseModel):
    services: dict[str, dict[str, Any] | None] = {}
    include: list[Any] = []


@dataclass(frozen=True)
class Service:
    """A service with everything that it extends.

    name: its name.
    settings: its keys.
    directory: directory that its relative paths are relative to.
    left: what could not be read, as pairs of the value and the reason.
    """

    name: str
    settings: Mapping[str, Any]
    directory: Path
    left: tuple[tuple[str, str], ...] = ()


def load_service(project: Project, file: Path, name: str | None) -> Service:
    """Load the service `name` of `file`, by default the only one.

    Raises InputError if the file is invalid or the service is unknown.
    """
    reader = _Reader(_root(project, file))
    services = reader.services(file.absolute())
    if not services:
        raise InputError(f"{file.name} has no services.", str(file), "Use a Compose file with `services:`.")
    if name is None and len(services) > 1:
        raise InputError(
            "The Compose file has several services.",
            f"{file} has {', '.join(services)[:200]}.",
            "Choose one with --service.",
        )
    chosen = name if name is not None else next(iter(services))
    if chosen not in services:
        raise InputError(f"There is no service '{chosen}'.", str(file), nearest(chosen, list(services)))
    service = reader.extended(chosen, services)
    return Service(chosen, service.settings, service.directory, tuple(reader.left))


def _root(project: Project, file: Path) -> Path:
    """Return the directory that no other file may lie outside of."""
    return project.root if file.resolve().is_relative_to(project.root.resolve()) else file.resolve().parent


@dataclass
class _Reader:
    root: Path
    left: list[tuple[str, str]] = field(default_factory=list)
    files: int = 0

    def services(self, file: Path) -> dict[str, Service]:
        """Return the services of a file and of the files that it includes; its own come first."""
        self.files += 1
        content = load(file, _File, aliases=True)
        directory = file.resolve().parent
        services = {
            name: Service(name, settings or {}, directory) for name, settings in content.services.items()
        }
        for entry in content.include:
            paths = entry.get("path") if isinstance(entry, dict) else entry
            for path in paths if isinstance(paths, list) else [paths]:
                for name, service in self._other_file("include", path, directory).items():
                    services.setdefault(name, service)
        return services

    def extended(self, name: str, services: Mapping[str, Service], depth: int = 0) -> Service:
        """Return the service `name` merged with the services that it extends."""
        service = services[name]
        settings = {key: value for key, value in service.settings.items() if key != "extends"}
        extends = service.settings.get("extends")
        if extends is None:
            return Service(name, settings, service.directory)
        fields = extends if isinstance(extends, dict) else {"service": extends}
        others = services
        if fields.get("file") is not None:
            others = self._other_file("extends", fields["file"], service.directory)
        base_name = str(fields.get("service"))
        if base_name not in others or depth == MAX_EXTENDS:
            known = base_name in others
            reason = "too many services extend it" if known else "there is no such service that can be read"
            self.left.append((f"extends {quoted(base_name)}", reason))
            return Service(name, settings, service.directory)
        base = self.extended(base_name, others, depth + 1)
        inherited = base.settings
        if base.directory != service.directory:
            inherited = _with_absolute_sources(inherited, base.directory)
        return Service(name, merge(inherited, settings), service.directory)

    def _other_file(self, key: str, path: Any, directory: Path) -> dict[str, Service]:
        """Return the services of a file that another one names; if it may not be read, list it."""
        try:
            text = interpolate(str(path))
            if "://" in text or text.startswith("git@"):
                raise ValueError("selab reads no file from the network")
            if self.files >= MAX_FILES:
                raise ValueError(f"there are already {MAX_FILES} files")
            return self.services(inside(self.root, directory / text, "It"))
        except InputError as error:
            self.left.append((f"{key} {quoted(path)}", error.what[:1].lower() + error.what[1:].rstrip(".")))
        except ValueError as error:
            self.left.append((f"{key} {quoted(path)}", str(error)))
        return {}


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two services: objects by key, lists one after the other, other values from `own`."""
    return {**base, **{key: _merged(key, base[key], own[key]) if key in base else own[key] for key in own}}


def _merged(key: str, base: Any, own: Any) -> Any:
    if own is None or key in _REPLACED:
        return base if own is None else own
    if key in _BY_NAME:
        return {**dict(pairs(base)), **dict(pairs(own))}
    if isinstance(base, dict) and isinstance(own, dict):
        return merge(base, own)
    if isinstance(base, list) and isinstance(own, list):
        targets = {_target(item) for item in own} if key == "volumes" else set()
        return [item for item in base if item not in own and _target(item) not in targets] + own
    return own


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of an object, or of a list of `name=value`; a name alone has None."""
    if isinstance(value, dict):
        yield from ((str(name), setting) for name, setting in value.items())
    elif isinstance(value, list):
        for item in filter(None, value):
            name, sign, setting = str(item).partition("=")
            yield name, setting if sign else None


def _target(volume: Any) -> str:
    """Return the mount point of a volume, or a text that no other volume has."""
    if isinstance(volume, dict):
        return str(volume.get("target")).rstrip("/")
    parts = str(volume).split(":")
    return (parts[1] if len(parts) > 1 else parts[0]).rstrip("/") if "$" not in str(volume) else str(volume)


def _with_absolute_sources(settings: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    volumes = settings.get("volumes")
    if not isinstance(volumes, list):
        return dict(settings)
    return {**settings, "volumes": [_absolute(volume, directory) for volume in volumes]}


def _absolute(volume: Any, directory: Path) -> Any:
    if isinstance(volume, str) and volume.startswith("."):
        source, sign, rest = volume.partition(":")
        return f"{directory / source}{sign}{rest}" if sign else volume
    if isinstance(volume, dict) and volume.get("type") == "bind" and isinstance(volume.get("source"), str):
        return {**volume, "source": str(directory / volume["source"])}
    return volume
