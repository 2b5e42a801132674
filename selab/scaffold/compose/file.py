"""Load services of a Compose file with what they extend and with included files.

The rules are those of the Compose specification (github.com/compose-spec/compose-spec, 2026-06-23). A file
that another one names is read only if it is in the project or, if the user's file is outside of the project,
in the directory of that file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from selab.errors import InputError
from selab.host.yamlfile import RESET, Override, load, without_tags
from selab.project import Project, inside, nearest
from selab.scaffold.compose.interpolation import interpolate
from selab.scaffold.image_config import quoted
from selab.scenario.model import MOST_CONTAINERS

MAX_FILES = 16
"""Files that one Compose file includes or extends."""
MAX_EXTENDS = 8
MOST_SERVICES = 64
"""Services that are merged with what they extend, to find out which profiles they have."""
_REPLACED = frozenset({"command", "entrypoint"})
"""Lists that are replaced, not continued."""
_BY_NAME = frozenset({"annotations", "environment", "labels", "sysctls"})
"""Keys that are an object or a list of `name=value`."""


class _File(BaseModel):
    services: dict[str, dict[str, Any] | None] = {}
    include: list[Any] = []
    networks: Any = None
    volumes: Any = None
    secrets: Any = None
    configs: Any = None
    models: Any = None


SECTIONS = ("networks", "volumes", "secrets", "configs", "models")
"""Sections of a Compose file with objects that services use by name."""


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


@dataclass(frozen=True)
class Application:
    """The services that were chosen, and what they use.

    services: the services, in the order of the file.
    hidden: services that are left out, by name with their profiles.
    sections: the objects of the file that services use, by the section and the name.
    includes: the entries of `include` in the long syntax.
    left: what could not be read, as pairs of the value and the reason.
    """

    services: tuple[Service, ...]
    hidden: Mapping[str, tuple[str, ...]]
    sections: Mapping[str, Mapping[str, Any]]
    includes: tuple[Mapping[str, Any], ...]
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Content:
    """What is in a file and in the files that it includes.

    services: the services, by name.
    sections: the objects that services use, by the section and the name.
    """

    services: dict[str, Service] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in SECTIONS})

    def add(self, other: _Content) -> None:
        """Add what another file has; what is already known keeps its value."""
        for name, service in other.services.items():
            self.services.setdefault(name, service)
        for section, objects in other.sections.items():
            for name, fields in objects.items():
                self.sections[section].setdefault(name, fields)

    def override(self, other: _Content) -> None:
        """Merge what another file has over what is known."""
        for name, service in other.services.items():
            base = self.services.get(name)
            if base:
                service = replace(base, settings=merge(base.settings, service.settings))
            self.services[name] = service
        for section, objects in other.sections.items():
            self.sections[section] = merge(self.sections[section], objects)


def load_application(
    project: Project, file: Path, names: Sequence[str] = (), profiles: Sequence[str] = ()
) -> Application:
    """Load the services `names` of `file`, by default those without a profile or with one of `profiles`.

    The only service of a file is loaded whatever its profiles are. Raises InputError if the file is invalid,
    or if a service or a profile is unknown.
    """
    reader = _Reader(_root(project, file))
    content = reader.content(file.absolute(), file.resolve().parent)
    known = content.services
    if not known:
        raise InputError(f"{file.name} has no services.", str(file), "Use a Compose file with `services:`.")
    for name in names:
        if name not in known:
            raise InputError(f"There is no service '{name}'.", str(file), nearest(name, list(known)))
    _refuse_many(file, names or list(known), MOST_SERVICES)
    # A service may extend others, and inherit their profiles.
    services = {name: reader.service(name, known) for name in known if name in names or not names}
    having = {name: profiles_of(service.settings) for name, service in services.items()}
    _refuse_unknown(file, profiles, having)
    hidden = {
        name: own
        for name, own in having.items()
        if own and not names and len(known) > 1 and "*" not in profiles and not set(own) & {*profiles}
    }
    chosen = [service for name, service in services.items() if name not in hidden]
    if not chosen:
        raise InputError(
            f"Each service of {file.name} has a profile.",
            ", ".join(f"{name}: {' '.join(own)}" for name, own in hidden.items())[:200],
            "Choose services with --profile or --service.",
        )
    _refuse_many(file, [service.name for service in chosen], MOST_CONTAINERS)
    return Application(
        tuple(chosen), hidden, without_tags(content.sections), tuple(reader.includes), tuple(reader.left)
    )


def profiles_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    value = settings.get("profiles")
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _refuse_many(file: Path, names: Sequence[str], most: int) -> None:
    if len(names) > most:
        raise InputError(
            f"{file.name} has {len(names)} services; a scenario has at most {MOST_CONTAINERS} containers.",
            ", ".join(names)[:200],
            "Choose some with --service.",
        )


def _refuse_unknown(file: Path, profiles: Sequence[str], having: Mapping[str, Sequence[str]]) -> None:
    known = list(dict.fromkeys(profile for own in having.values() for profile in own))
    for profile in profiles:
        if profile not in (*known, "*"):
            raise InputError(f"No service has the profile '{profile}'.", str(file), nearest(profile, known))


def _root(project: Project, file: Path) -> Path:
    """Return the directory that no other file may lie outside of."""
    return project.root if file.resolve().is_relative_to(project.root.resolve()) else file.resolve().parent


@dataclass
class _Reader:
    root: Path
    left: list[tuple[str, str]] = field(default_factory=list)
    includes: list[Mapping[str, Any]] = field(default_factory=list)
    files: int = 0
    contents: dict[tuple[Path, Path], _Content] = field(default_factory=dict)

    def service(self, name: str, services: Mapping[str, Service]) -> Service:
        """Return a service merged with those that it extends, and with what could not be read for it."""
        before = len(self.left)
        service = self.extended(name, services)
        left, self.left = self.left[before:], self.left[:before]
        return replace(service, name=name, settings=without_tags(service.settings), left=tuple(left))

    def content(self, file: Path, directory: Path) -> _Content:
        """Return the content of a file, whose relative paths are relative to `directory`.

        The file's own services and objects come first, then those of the files that it includes.
        """
        self.files += 1
        loaded = load(file, _File, aliases=True)
        content = _Content()
        for name, settings in loaded.services.items():
            content.services[name] = Service(name, settings or {}, directory)
        for section in SECTIONS:
            objects = getattr(loaded, section)
            if isinstance(objects, dict):
                content.sections[section].update({str(name): fields for name, fields in objects.items()})
            elif objects is not None:
                self.left.append((section, f"in {file.name}, it must be an object"))
        for entry in loaded.include:
            content.add(self._included(entry, directory))
        return content

    def _included(self, entry: Any, directory: Path) -> _Content:
        """Return the content of the files of an entry of `include`; the first is the base of the others."""
        fields = entry if isinstance(entry, dict) else {"path": entry}
        self.includes.append(fields)
        paths = fields.get("path")
        paths = paths if isinstance(paths, list) else [paths]
        included = _Content()
        base = fields.get("project_directory")
        for path in paths:
            other = self._other_file("include", path, directory, base if base is not None else paths[0])
            included.override(other)
        return included

    def extended(self, name: str, services: Mapping[str, Service], depth: int = 0) -> Service:
        """Return the service `name` merged with the services that it extends."""
        service = services[name]
        settings = {key: value for key, value in service.settings.items() if key != "extends"}
        extends = without_tags({"extends": service.settings.get("extends")}).get("extends")
        if extends is None:
            return Service(name, settings, service.directory)
        fields = extends if isinstance(extends, dict) else {"service": extends}
        others = services
        if fields.get("file") is not None:
            others = self._other_file("extends", fields["file"], service.directory).services
        base_name = str(fields.get("service"))
        if base_name not in others or depth == MAX_EXTENDS:
            known = base_name in others
            reason = "too many services extend it" if known else "there is no such service that can be read"
            self.left.append((f"extends {quoted(base_name)}", reason))
            return Service(name, settings, service.directory)
        base = self.extended(base_name, others, depth + 1)
        inherited = without_tags(base.settings)
        if base.directory != service.directory:
            inherited = _with_absolute_sources(inherited, base.directory)
        return Service(name, merge(inherited, settings), service.directory)

    def _other_file(self, key: str, path: Any, directory: Path, base: Any = None) -> _Content:
        """Return the content of a file that another one names; if it may not be read, list it.

        `base` is the directory of the file's relative paths, or another file in it, by default the file.
        """
        try:
            text = interpolate(str(path))
            if "://" in text or text.startswith("git@"):
                raise ValueError("selab reads no file from the network")
            file = inside(self.root, directory / text, "It")
            root = inside(self.root, directory / interpolate(str(path if base is None else base)), "It")
            place = file, root if root.is_dir() else root.parent
            if place not in self.contents:
                if self.files >= MAX_FILES:
                    raise ValueError(f"there are already {MAX_FILES} files")
                self.contents[place] = self.content(*place)
            return self.contents[place]
        except InputError as error:
            self.left.append((f"{key} {quoted(path)}", error.what[:1].lower() + error.what[1:].rstrip(".")))
        except OSError as error:
            self.left.append((f"{key} {quoted(path)}", str(error.strerror)))
        except ValueError as error:
            self.left.append((f"{key} {quoted(path)}", str(error)))
        return _Content()


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two services: objects by key, lists one after the other, other values from `own`."""
    return {**base, **{key: _merged(key, base[key], own[key]) if key in base else own[key] for key in own}}


def _merged(key: str, base: Any, own: Any) -> Any:
    if own is RESET or isinstance(own, Override):
        return own
    if base is RESET or isinstance(base, Override):
        return _merged(key, without_tags(base) if isinstance(base, Override) else None, own)
    if own is None or key in _REPLACED:
        return base if own is None else own
    if key in _BY_NAME and isinstance(base, dict | list) and isinstance(own, dict | list):
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
