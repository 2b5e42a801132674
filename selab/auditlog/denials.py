"""Define a decision (AvcDenial), a summary's row (Denial), its identity (DenialKey) and other failures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from selab.auditlog.context import Context, categories, mcs_separated

MAX_EVIDENCE = 10
"""Context pairs and serial numbers to keep per row: enough to compare, however many records there are."""
MAX_COMMANDS = 256
"""Commands of ioctl to keep per row. A program uses some dozens; a hostile log can name 65536."""
IOCTL = "ioctl"
_COMMAND = re.compile(r"(?:^|\s)ioctlcmd=(?:0x)?([0-9a-fA-F]{1,8})(?!\S)")
"""The kernel writes the number in hexadecimal, before 4.4 without a prefix (security/lsm_audit.c)."""


class DenialKey(NamedTuple):
    """The identity of a denial.

    source, target: types.
    tclass: object class.
    permission: one permission.
    command: the command of an ioctl (`0x8910`) if the policy distinguishes commands (allowxperm rules), or
        empty.

    Paths, categories and process names are evidence, not identity: a random category must not make an old
    denial look new.
    """

    source: str
    target: str
    tclass: str
    permission: str
    command: str = ""

    def __str__(self) -> str:
        access = f"{self.source} {shown_target(self.source, self.target)}:{self.tclass} {self.permission}"
        return f"{access} {self.command}" if self.command else access

    @property
    def without_command(self) -> DenialKey:
        """The identity under a policy that does not distinguish commands."""
        return self._replace(command="")


T = TypeVar("T")


def with_bare_keys(values: Mapping[DenialKey, T]) -> dict[DenialKey, T]:
    """Add the identity without a command for each ioctl, with the value of its first command."""
    result = dict(values)
    for key, value in values.items():
        result.setdefault(key.without_command, value)
    return result


def comparable(keys: Set[DenialKey], others: Set[DenialKey]) -> frozenset[DenialKey]:
    """Return `keys` without the commands that the policy behind `others` does not distinguish."""
    return frozenset(key.without_command if key.without_command in others else key for key in keys)


def shown_target(source: str, target: str) -> str:
    """Return the target as the policy language writes it: `self` if it is the source."""
    return "self" if target == source else target


def shown_labels(row: DenialRow) -> str:
    """Return the labels of a row that the policy does not know, in words; empty if it knows all."""
    text = ", ".join(dict.fromkeys((*row.raw_sources, *row.raw_targets)))
    return f"(label unknown to the policy: {text})" if text else ""


@dataclass(frozen=True, slots=True)
class AvcDenial:
    """One decision of an access vector cache, as one record reports it.

    source, target: contexts.
    tclass: object class.
    permissions: their names.
    permissive: whether the access was allowed in spite of the denial; None if the kernel does not report it
        (before 3.17; RHEL 7).
    comm: name of the process.
    path: a path, or otherwise a bare name.
    pid: process; of an object manager's decision, the requesting process if known.
    exe: program; of an object manager's decision, the object manager's.
    detail: further attributes of the object (`src=8080`, `capability=12`).
    granted: whether an auditallow rule reports an allowed access, which is no denial.
    serial, time: number of the event, and seconds since the epoch.
    userspace: whether an object manager decided (systemd, D-Bus).
    raw_source, raw_target: contexts that the loaded policy does not know, beside those that the kernel used
        instead (srawcon, trawcon).
    """

    source: Context
    target: Context
    tclass: str
    permissions: tuple[str, ...]
    permissive: bool | None
    comm: str = ""
    path: str = ""
    pid: int | None = None
    exe: str = ""
    detail: str = ""
    granted: bool = False
    serial: int | None = None
    time: float | None = None
    userspace: bool = False
    raw_source: str = ""
    raw_target: str = ""

    @property
    def keys(self) -> tuple[DenialKey, ...]:
        return tuple(
            DenialKey(self.source.type, self.target.type, self.tclass, permission)
            for permission in self.permissions
        )

    def command_of(self, permission: str) -> int | None:
        """Return the command of a denied ioctl (`ioctlcmd=0x8910`), or None for any other permission."""
        return command_in(self.detail) if permission == IOCTL else None


def command_in(detail: str) -> int | None:
    """Return the ioctl command in the attributes of an object (`ioctlcmd=0x8910`), or None."""
    match = _COMMAND.search(detail)
    return int(match[1], 16) & 0xFFFF if match else None


@dataclass(frozen=True)
class Denial:
    """One row: everything denied between two types for one class.

    source, target, tclass: types and object class.
    permissions: all denied permissions, sorted.
    count: number of records.
    permissive: False if at least one record blocked the access, True if all allowed it, None if unknown.
    mixed: whether some records blocked the access and others allowed it.
    comm, path, exe, detail: examples from the first record of each set of permissions; a path is preferred to
        a bare name.
    userspace: whether an object manager decided.
    separated: whether both sides have categories that separate them in each record, so that an `allow` rule
        neither helps nor should. A source without categories is usually a daemon that the constraints exempt.
    evidence: pairs of complete contexts, at most MAX_EVIDENCE.
    serials: numbers of events, at most MAX_EVIDENCE.
    raw_sources, raw_targets: labels that the policy does not know, which the kernel treated as the source or
        the target; at most MAX_EVIDENCE. Such a label is the cause: a module is missing, or a file must be
        relabelled.
    commands: commands of denied ioctls (`0x8910`), sorted, at most MAX_COMMANDS.
    by_command: whether the policy distinguishes commands here (allowxperm rules), so that each is a denial of
        its own.
    """

    source: str
    target: str
    tclass: str
    permissions: tuple[str, ...]
    count: int
    permissive: bool | None
    mixed: bool
    comm: str
    path: str
    exe: str
    detail: str
    userspace: bool
    separated: bool
    evidence: tuple[tuple[Context, Context], ...]
    serials: tuple[int, ...]
    raw_sources: tuple[str, ...] = ()
    raw_targets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    by_command: bool = False

    @property
    def keys(self) -> tuple[DenialKey, ...]:
        return keys_of(self)

    def to_json(self) -> dict[str, object]:
        """Convert the row to the keys that `selab run --json` and `selab denials --json` share."""
        return {
            "source": self.source,
            "target": self.target,
            "class": self.tclass,
            "permissions": list(self.permissions),
            "count": self.count,
            "permissive": self.permissive,
            "mixed": self.mixed,
            "comm": self.comm,
            "path": self.path,
            "exe": self.exe,
            "detail": self.detail,
            "userspace": self.userspace,
            "separated": self.separated,
            "evidence": [[str(source), str(target)] for source, target in self.evidence],
            "serials": list(self.serials),
            **({"raw_sources": list(self.raw_sources)} if self.raw_sources else {}),
            **({"raw_targets": list(self.raw_targets)} if self.raw_targets else {}),
            **({"commands": list(self.commands)} if self.commands else {}),
            **({"by_command": True} if self.by_command else {}),
        }


class DenialRow(Protocol):
    """A row of denials: a Denial, or what a run's document has of it."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def tclass(self) -> str: ...
    @property
    def permissions(self) -> tuple[str, ...]: ...
    @property
    def commands(self) -> tuple[str, ...]: ...
    @property
    def by_command(self) -> bool: ...
    @property
    def raw_sources(self) -> tuple[str, ...]: ...
    @property
    def raw_targets(self) -> tuple[str, ...]: ...


def keys_of(row: DenialRow) -> tuple[DenialKey, ...]:
    """Return the identity of each denial of a row."""
    return tuple(
        DenialKey(row.source, row.target, row.tclass, permission, command)
        for permission in row.permissions
        for command in ((row.commands if permission == IOCTL and row.by_command else ()) or ("",))
    )


@dataclass(frozen=True)
class SelinuxError:
    """A failure that SELinux reports without a denial.

    kind: the kernel's `op`, its sentence, or `userspace`.
    text: text of the record.
    scontext, tcontext: contexts as text, one of which may be invalid; for a transition, the old and the new
        context.
    tclass: object class.
    meaning: what happened.
    invalid_context: the invalid context, or empty.
    serial, time: number of the event and its time, which do not distinguish errors.
    """

    kind: str
    text: str
    scontext: str
    tcontext: str
    tclass: str
    meaning: str
    invalid_context: str = ""
    serial: int | None = field(default=None, compare=False)
    time: float | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "meaning": self.meaning,
            "source": self.scontext,
            "target": self.tcontext,
            "class": self.tclass,
            "invalid_context": self.invalid_context,
            "text": self.text,
        }


class Rows:
    """Collects decisions into rows. Memory grows with the number of rows, not of records."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def has_row_for(self, avc: AvcDenial) -> bool:
        """Return whether the decision belongs to a row that exists."""
        return (avc.source.type, avc.target.type, avc.tclass) in self._rows

    def add(self, avc: AvcDenial) -> Row:
        """Add one decision, and return its row."""
        key = (avc.source.type, avc.target.type, avc.tclass)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row()
        row.add(avc)
        return row

    def denials(self) -> tuple[Denial, ...]:
        """Return the rows, sorted by source, target and class."""
        return tuple(row.denial(key) for key, row in sorted(self._rows.items()))


def group(denials: Iterable[AvcDenial]) -> tuple[Denial, ...]:
    """Return one row for each source type, target type and class, sorted."""
    rows = Rows()
    for avc in denials:
        rows.add(avc)
    return rows.denials()


class Row:
    """A row while it is collected.

    Of a record with known permissions and contexts, only the count and the serial matter. Once `is_settled`,
    this holds for any contexts.
    """

    __slots__ = (
        "comm",
        "commands",
        "count",
        "detail",
        "evidence",
        "exe",
        "is_settled",
        "path",
        "permissions",
        "permissive",
        "raw_sources",
        "raw_targets",
        "separated",
        "serials",
        "userspace",
    )

    def __init__(self) -> None:
        self.permissions: set[tuple[str, ...]] = set()
        self.permissive: set[bool | None] = set()
        self.count = 0
        self.comm = self.path = self.exe = self.detail = ""
        self.userspace = False
        self.separated = True
        self.is_settled = False
        self.evidence: dict[tuple[Context, Context], None] = {}
        self.serials: list[int] = []
        self.raw_sources: dict[str, None] = {}
        self.raw_targets: dict[str, None] = {}
        self.commands: set[int] = set()

    def add(self, avc: AvcDenial) -> None:
        self.repeat(avc.serial)
        self.permissive.add(avc.permissive)
        self.userspace = self.userspace or avc.userspace
        command = avc.command_of(IOCTL) if IOCTL in avc.permissions else None
        if command is not None and len(self.commands) < MAX_COMMANDS:
            self.commands.add(command)
        if len(self.evidence) < MAX_EVIDENCE:
            self.evidence[(avc.source, avc.target)] = None
        self.separated = (
            self.separated and bool(categories(avc.source.level)) and mcs_separated(avc.source, avc.target)
        )
        self.is_settled = len(self.evidence) >= MAX_EVIDENCE and not self.separated
        for label, labels in ((avc.raw_source, self.raw_sources), (avc.raw_target, self.raw_targets)):
            if label and len(labels) < MAX_EVIDENCE:
                labels[label] = None
        if avc.permissions not in self.permissions:
            self.permissions.add(avc.permissions)
            self._take_examples(avc)

    def _take_examples(self, avc: AvcDenial) -> None:
        self.comm = self.comm or avc.comm
        self.exe = self.exe or avc.exe
        self.detail = self.detail or avc.detail
        if avc.path and (not self.path or (avc.path[0] == "/" and self.path[0] != "/")):
            self.path = avc.path

    def repeat(self, serial: int | None) -> None:
        self.count += 1
        if len(self.serials) < MAX_EVIDENCE and serial is not None and self.serials[-1:] != [serial]:
            self.serials.append(serial)

    def repeat_raw(self, serial: bytes) -> None:
        """Count a denial whose serial number is still text, which is converted only if it is kept."""
        if len(self.serials) < MAX_EVIDENCE:
            self.repeat(int(serial))
        else:
            self.count += 1

    def denial(self, key: tuple[str, str, str]) -> Denial:
        permissive = False if False in self.permissive else None if None in self.permissive else True
        return Denial(
            *key,
            permissions=tuple(sorted(set().union(*self.permissions))),
            count=self.count,
            permissive=permissive,
            mixed={True, False} <= self.permissive,
            comm=self.comm,
            path=self.path,
            exe=self.exe,
            detail=self.detail,
            userspace=self.userspace,
            separated=self.separated,
            evidence=tuple(self.evidence),
            serials=tuple(self.serials),
            raw_sources=tuple(self.raw_sources),
            raw_targets=tuple(self.raw_targets),
            commands=tuple(f"0x{command:x}" for command in sorted(self.commands)),
        )
