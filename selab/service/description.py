"""Read how a service of the guest is meant to be run: its program, files, user, ports and sockets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selab.errors import InputError
from selab.guest import Completed, Malformed, Query, script
from selab.service.lifecycle import no_such_unit, other_name

DESCRIBE_TIMEOUT = 120.0
"""Seconds to describe a service: its packages may have thousands of files."""
MOST_PATHS, MOST_PORTS, MOST_LEFT = 20_000, 64, 20
EPHEMERAL = 32768
"""The first port that Linux gives to clients (ip(7), ip_local_port_range): no UDP server is there."""
_PATH = re.compile(r"/[A-Za-z0-9._@%+=:,~/-]+")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_CONTEXT = re.compile(r"[\w.-]+:[\w.-]+:([\w.-]+)(:\S*)?", re.ASCII)
_LISTEN = re.compile(r"(\S{1,200}) \((Stream|Datagram|SequentialPacket)\)")
_PORT = re.compile(r"(?:\S{0,100}:)?(\d{1,5})", re.ASCII)
INTERPRETERS = re.compile(
    r"(ba|da|a|z|k|c|tc)?sh|busybox|env|(python|perl|ruby|php|lua|node|nodejs|java|guile|mono|dotnet)[\d.]*|"
    r"sleep|true|systemd.*"
)
"""Programs that many services start, by their names: the label of such a file is for all of them."""
_ROOTS = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}
"""The directories in which systemd creates those of a unit (systemd.exec(5))."""
_PROPERTIES = (
    *("LoadState", "Id", "User", "DynamicUser", "NoNewPrivileges", "PIDFile", "ReadWritePaths"),
    *_ROOTS,
)


@dataclass(frozen=True)
class ServiceDescription:
    """How a service is meant to be run.

    unit: full name of the unit.
    program: path of the program that it starts, without links.
    program_type: type of the program by the guest's file contexts, or "" if that is unknown.
    user: its user, or "" for root.
    packages: packages of its program and its unit.
    directories: directories that are the unit's, or in which its packages have files.
    files: other files of its packages, and its process id file.
    writable: paths that the unit names as writable.
    sockets: paths at which systemd listens for it.
    ports: pairs of protocol (`tcp` or `udp`) and number on which it, or systemd for it, listens.
    no_new_privileges: whether its processes may not gain privileges, which restricts type transitions.
    left: what was left out, one line each.
    """

    unit: str
    program: str
    program_type: str = ""
    user: str = ""
    packages: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    no_new_privileges: bool = False
    left: tuple[str, ...] = ()


def describe(unit: str) -> Query[ServiceDescription]:
    """Describe the unit. Raises InputError if the guest lacks it, or if it starts no program of its own."""

    def read(done: Completed) -> ServiceDescription:
        return _description(
            unit, done.expect(f"systemd does not describe {unit}.", hint="Run `selab doctor`.")
        )

    return Query(script("service/describe"), read, (unit, *_PROPERTIES), timeout=DESCRIBE_TIMEOUT)


@dataclass
class _Parts:
    """Accepts values that have a form which a policy can have.

    left: a line for each other value.
    """

    left: dict[str, None] = field(default_factory=dict)

    def add(self, pattern: re.Pattern[str], values: Iterable[str], what: str) -> tuple[str, ...]:
        accepted: dict[str, None] = {}
        for value in values:
            if _has_form(pattern, value):
                accepted[value] = None
            elif len(self.left) < MOST_LEFT:
                self.left[f"the {what} {value[:80]!a} is left out"] = None
        return tuple(accepted)


def _has_form(pattern: re.Pattern[str], value: str) -> bool:
    """Return whether `value` matches the pattern and, if it is a path, names a file in only one way."""
    return bool(pattern.fullmatch(value)) and not any(part in f"{value}/" for part in ("//", "/../", "/./"))


def _description(unit: str, done: Completed) -> ServiceDescription:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in done.text.splitlines():
        key, separator, value = line.partition("=")
        if not separator:
            raise Malformed(f"{line[:40]!r} is not a property")
        if value:
            values[key].append(value)
    if values["Complete"] != ["yes"]:
        raise Malformed("it lacks its end")
    _require_unit(unit, values)
    program = _program(unit, values["Entry"])
    parts = _Parts()
    directories, files = _paths(parts, values)
    writable = [path.lstrip("-+") for paths in values["ReadWritePaths"] for path in paths.split()]
    context = _CONTEXT.fullmatch(_first(values["EntryContext"]))
    sockets, ports = _sockets(parts, values)
    return ServiceDescription(
        unit,
        program,
        program_type=context[1] if context else "",
        user=_user(parts, values),
        packages=parts.add(_PACKAGE, (*values["EntryPackage"], *values["Package"]), "package"),
        directories=directories,
        files=files,
        writable=parts.add(_PATH, map(_without_alias, writable[:MOST_PATHS]), "writable path"),
        sockets=sockets,
        ports=ports,
        no_new_privileges="yes" in (_first(values["NoNewPrivileges"]), _first(values["DynamicUser"])),
        left=tuple(parts.left),
    )


def _first(values: Sequence[str]) -> str:
    return values[0] if values else ""


def _require_unit(unit: str, values: Mapping[str, list[str]]) -> None:
    state, name = _first(values["LoadState"]), _first(values["Id"])
    if state != "loaded":
        raise no_such_unit(
            unit, state, "Install its package in the guest, or name the package with --package."
        )
    if name != unit:
        raise other_name(unit, name)


def _program(unit: str, entries: Sequence[str]) -> str:
    program = _first(entries)
    if not _has_form(_PATH, program):
        raise InputError(
            f"The unit {unit} starts no program that a policy can name.",
            f"systemd reports {program[:80]!r}." if program else "It has no ExecStart.",
            "Write the policy by hand.",
        )
    if INTERPRETERS.fullmatch(program.rpartition("/")[2]):
        raise InputError(
            f"The unit {unit} starts {program}, which other services start as well.",
            "A label on that file would hold for all of them.",
            "Let ExecStart name a program or script of its own, which may begin with #!.",
        )
    return program


def _user(parts: _Parts, values: Mapping[str, list[str]]) -> str:
    user = _first(parts.add(_USER, values["User"], "user"))
    if _first(values["DynamicUser"]) == "yes":
        return user or "dynamic"
    return "" if user in ("root", "0") else user


def _paths(parts: _Parts, values: Mapping[str, list[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the directories and the files of the unit and of its packages."""
    directories = [
        f"{root}/{name.partition(':')[0]}"
        for key, root in _ROOTS.items()
        for names in values[key]
        for name in names.split()
    ]
    files = [*values["PIDFile"]]
    for line in values["Tmpfiles"]:
        kind, path, *_ = [*line.split(), "", ""]
        if path.startswith("/") and "%" not in path:
            (directories if kind[:1] in ("d", "D", "v", "q", "Q", "e") else files).append(path)
    directories += values["Directory"]
    files += values["File"]
    return (
        parts.add(_PATH, map(_without_alias, directories[:MOST_PATHS]), "directory"),
        parts.add(_PATH, map(_without_alias, files[:MOST_PATHS]), "file"),
    )


def _without_alias(path: str) -> str:
    """Return the path with /run in the place of /var/run, which is a link to it (file-hierarchy(7))."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path.rstrip("/")


def _sockets(
    parts: _Parts, values: Mapping[str, list[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Return the paths and the ports on which systemd listens for the service, or the service itself."""
    paths: list[str] = []
    ports: dict[tuple[str, int], None] = {}

    def add_port(protocol: str, address: str) -> bool:
        port = _PORT.fullmatch(address)
        number = int(port[1]) if port else 0
        if protocol not in ("tcp", "udp") or not 0 < number <= 65535:
            return False
        if (protocol == "tcp" or number < EPHEMERAL) and len(ports) < MOST_PORTS:
            ports[protocol, number] = None
        return True

    for text in values["Listen"]:
        match = _LISTEN.fullmatch(text)
        if match and match[1].startswith("/"):
            paths.append(_without_alias(match[1]))
        elif not match or not add_port("udp" if match[2] == "Datagram" else "tcp", match[1]):
            parts.left[f"the socket {text[:80]!a} is left out"] = None
    for text in values["Listening"]:
        protocol, _, address = text.partition(" ")
        if not add_port(protocol, address):
            parts.left[f"the socket {text[:80]!a} is left out"] = None
    return parts.add(_PATH, paths, "socket"), tuple(ports)
