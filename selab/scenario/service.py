"""A service of the guest that a scenario runs in the place of a container."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from selab.host.tables import RUNTIMES, table
from selab.host.yamlfile import UserModel
from selab.scenario.fields import Text

SUFFIX = ".service"
LONGEST_UNIT = 200
"""Characters of a unit's name, of which systemd allows 255: the name is also that of a file."""
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.\\-]*(@[A-Za-z0-9:_.\\@-]+)?")
"""A unit's name without its suffix, by systemd.unit(5); behind `@` there is an instance."""
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9+._-]{0,126}[A-Za-z0-9+])?")
"""A package's name, by Debian's policy manual and rpm-spec(5). With a final `-`, apt-get(8) removes it."""
_NEEDED = re.compile(
    "("
    + "|".join(
        (
            *("sshd?", "dbus", "dbus-.*", "systemd-.*", "auditd", "selab-.*", "user", "user-runtime-dir"),
            *("getty", "serial-getty", "console-getty", "qemu-guest-agent", "NetworkManager", "networking"),
            *("emergency", "rescue", "initrd-.*", "containerd", "crio", "podman.*"),
            *(re.escape(fields["service"]) for fields in table(RUNTIMES).values() if fields["service"]),
        )
    )
    + ")(@.*)?"
)
"""Units without which selab cannot reach the guest or observe a run, or that switch services off."""


_OTHERS = (
    *(
        ".socket",
        ".target",
        ".device",
        ".mount",
        ".automount",
        ".swap",
        ".timer",
        ".path",
        ".slice",
        ".scope",
    ),
)
"""Suffixes of units that are no services; systemctl(1) would take such a name for that unit."""


def unit_name(text: str) -> str:
    """Return the full name of the unit `text`, which may lack its suffix. Raises ValueError."""
    name = text.removesuffix(SUFFIX)
    if not _UNIT.fullmatch(name) or len(name) > LONGEST_UNIT or name.endswith(_OTHERS):
        raise ValueError("must be the name of a service such as nginx.service (systemd.unit(5))")
    if _NEEDED.fullmatch(name):
        raise ValueError("selab needs this unit of the guest, so a scenario cannot run it")
    return name + SUFFIX


def _package(text: str) -> str:
    if not _PACKAGE.fullmatch(text):
        raise ValueError("must be the name of a package such as nginx")
    return text


def _program(text: str) -> str:
    if not text.startswith("/") or "/../" in f"{text}/":
        raise ValueError("must be an absolute path in the guest")
    return text


UnitName = Annotated[str, AfterValidator(unit_name)]
PackageName = Annotated[str, AfterValidator(_package)]


class Service(UserModel):
    """A service of the guest, which its systemd runs: a unit, or a command as a transient unit.

    The candidate's own type transition gives the service its domain.

    packages: packages of the guest's distribution to install if they are missing.
    unit: unit of the guest; the suffix `.service` may be omitted.
    command: command as a list, which begins with the path of a program in the guest.
    user: user who runs the command, by default root.
    """

    packages: Annotated[tuple[PackageName, ...], Field(max_length=64)] = ()
    unit: UnitName | None = None
    command: Annotated[tuple[Text, ...], Field(max_length=1000)] = ()
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")] | None = None

    @model_validator(mode="after")
    def _unit_or_command(self) -> Service:
        if (self.unit is None) is not bool(self.command):
            raise ValueError("a service must have either a unit or a command")
        if self.command:
            _program(self.command[0])
        if self.user and not self.command:
            raise ValueError("a unit has its own user; `user` belongs to a command")
        return self
