"""Sort the files of a service by their place, each place with a type of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from selab.host.tables import table
from selab.scaffold.policy_text import escaped
from selab.service.description import ServiceDescription

_SHARED = table("scaffold/names.toml")["shared"]
TREE = "(/.*)?"
"""The end of a pattern that matches a directory and all that is in it."""
SHALLOWEST = 2
"""Components of a path that a pattern may name: a shorter one covers what others use."""


class Place(Enum):
    """A place of files: the directory, the ending of their type, and what they are."""

    CONFIGURATION = ("/etc", "etc", "configuration")
    STATE = ("/var/lib", "var_lib", "state")
    CACHE = ("/var/cache", "cache", "cache")
    LOG = ("/var/log", "log", "logs")
    SPOOL = ("/var/spool", "spool", "spool")
    RUNTIME = ("/run", "run", "runtime files")
    DATA = ("", "data", "data")

    def __init__(self, root: str, ending: str, title: str) -> None:
        self.root, self.ending, self.title = root, ending, title


@dataclass
class Files:
    """The files of a service in one place.

    directories: directories, with all that is in them.
    files: single files.
    sockets: sockets.
    """

    directories: dict[str, None] = field(default_factory=dict)
    files: dict[str, None] = field(default_factory=dict)
    sockets: dict[str, None] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        return [*self.directories, *self.files, *self.sockets]

    def patterns(self, looked_up: Callable[[str], str]) -> Iterator[tuple[str, str]]:
        """Yield the pattern of file contexts for each, with the kind of file; the kind is "" for all.

        `looked_up` returns the path by which the guest looks up the label of another one.
        """
        for path in self.directories:
            yield f"{escaped(looked_up(path))}{TREE}", ""
        for path in self.files:
            yield escaped(looked_up(path)), "--"
        for path in self.sockets:
            yield escaped(looked_up(path)), "-s"


def files_by_place(service: ServiceDescription) -> dict[Place, Files]:
    """Return the service's own files. Those that it shares with other services are left out."""
    places = {place: Files() for place in Place}
    for path in (*service.directories, *service.writable):
        place, top, _ = _own(path)
        if place is Place.DATA and path in service.writable and path.count("/") >= SHALLOWEST:
            places[place].directories[path] = None
        elif place is not Place.DATA and top:
            places[place].directories[top] = None
    for paths, kind in ((service.files, "files"), (service.sockets, "sockets")):
        for path in paths:
            place, top, is_direct = _own(path)
            if place is not Place.DATA and top:
                group: dict[str, None] = getattr(places[place], kind if is_direct else "directories")
                group[top] = None
    return {place: files for place, files in places.items() if files.paths}


def _own(path: str) -> tuple[Place, str, bool]:
    """Return the place of a path, the file or directory of the service there, and whether that is the path.

    The second is "" if the path is the place itself, or in a directory that services share.
    """
    for place in Place:
        if place.root and f"{path}/".startswith(f"{place.root}/"):
            name, _, rest = path.removeprefix(place.root).strip("/").partition("/")
            own = name and name not in _SHARED.get(place.root, ())
            return place, f"{place.root}/{name}" if own else "", not rest
    return Place.DATA, "", True
