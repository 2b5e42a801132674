"""What SELinux denied: one decision (AvcDenial), one unique row of a summary (Denial), its identity (DenialKey), other failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from selab.auditlog.context import Context, categories, mcs_separated

MAX_EVIDENCE = 10
"""Pairs of contexts and serial numbers kept with a row: enough to see what differs, however many records there are."""


class DenialKey(NamedTuple):
    """The identity of a denial: two types, a class and one permission. Paths, categories and process names are evidence, not identity:
    a random category must not make an old denial look new."""

    source: str
    target: str
    tclass: str
    permission: str

    def __str__(self) -> str:
        return f"{self.source} {shown_target(self.source, self.target)}:{self.tclass} {self.permission}"


def shown_target(source: str, target: str) -> str:
    """The target as the policy language writes it: `self` where it is the source."""
    return "self" if target == source else target


@dataclass(frozen=True, slots=True)
class AvcDenial:
    """One decision of an access vector cache, as one record told it.

    `permissive` is None on kernels that do not say (before 3.17; RHEL 7). `userspace`: an object manager decided (systemd, D-Bus); `exe` is
    then its program, and `pid` the asking process where it is known. `path` is the best there is: a path, else a bare name. `detail` holds
    the other particulars of the object (`src=8080`, `capability=12`). `raw_source` and `raw_target` are contexts that the loaded policy
    does not know, which the kernel shows beside the ones it used instead (srawcon, trawcon). `granted`: an auditallow rule, no denial.
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


@dataclass(frozen=True)
class Denial:
    """One row: everything denied between two types for one class.

    `permissions` is the sorted union, `count` the number of records. `permissive`: False where at least one record says that the access was
    really blocked (`mixed` where another says that it was not); True where all say that it was let through; None where that is unknown.
    `comm`, `path`, `exe` and `detail` are examples, from the first record with each set of permissions, a whole path before a bare name.
    `evidence` (pairs of full contexts) and `serials` are bounded. `separated`: both sides have categories, which keep them apart in each
    record: an `allow` rule would not help, and must not. (A source without categories is most often a daemon that the constraints do not
    bind; its denials are not explained so.)
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

    @property
    def keys(self) -> tuple[DenialKey, ...]:
        return tuple(
            DenialKey(self.source, self.target, self.tclass, permission) for permission in self.permissions
        )

    def to_json(self) -> dict[str, object]:
        """The row with the keys that `selab run --json` and `selab denials --json` share."""
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
        }


@dataclass(frozen=True)
class SelinuxError:
    """A failure that SELinux reports without a denial. `kind` is the kernel's `op` (or its sentence, or `userspace`), `meaning` says what
    happened. `scontext` and `tcontext` are text: one of them may be the context that is not valid. For a transition they are the old and
    the new context. Two errors are the same when they differ in serial number and time only."""

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
    """Collects decisions into rows: memory grows with the number of rows, not of records."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}

    def add(self, avc: AvcDenial) -> Row:
        """Take one decision; return the row it went to."""
        key = (avc.source.type, avc.target.type, avc.tclass)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row()
        row.add(avc)
        return row

    def denials(self) -> tuple[Denial, ...]:
        """The rows, sorted by source, target and class."""
        return tuple(row.denial(key) for key, row in sorted(self._rows.items()))


def group(denials: Iterable[AvcDenial]) -> tuple[Denial, ...]:
    """One row for each source type, target type and class, sorted."""
    rows = Rows()
    for avc in denials:
        rows.add(avc)
    return rows.denials()


class Row:
    """A row while it is collected. Of a record with permissions and contexts that were seen before, only the count and the serial matter,
    and once `is_settled`, any contexts will do."""

    __slots__ = (
        "comm",
        "count",
        "detail",
        "evidence",
        "exe",
        "path",
        "permissions",
        "permissive",
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
        self.evidence: dict[tuple[Context, Context], None] = {}
        self.serials: list[int] = []

    @property
    def is_settled(self) -> bool:
        return len(self.evidence) >= MAX_EVIDENCE and not self.separated

    def add(self, avc: AvcDenial) -> None:
        self.repeat(avc.serial)
        self.permissive.add(avc.permissive)
        self.userspace = self.userspace or avc.userspace
        if len(self.evidence) < MAX_EVIDENCE:
            self.evidence[(avc.source, avc.target)] = None
        self.separated = (
            self.separated and bool(categories(avc.source.level)) and mcs_separated(avc.source, avc.target)
        )
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
        )
