"""A whole log in one value: its unique denials, what else SELinux reported, and what was passed over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from selab.audit.assembly import Group, RawLine, assemble
from selab.audit.denial import AvcDenial, Denial, Row, Rows, SelinuxError
from selab.audit.event import event_of
from selab.audit.reading import DETAILS, ignored_kind
from selab.audit.record import Record

MAX_EXAMPLES = 5
EXAMPLE_LENGTH = 400
MAX_KINDS = 256
"""Names of ignored kinds to tell apart: a hostile log can invent any number."""
MAX_KNOWN = 8192
"""Variants of denials to know at a time (every random MCS pair makes some): about 5 MB."""

_DENIED = b"avc:  denied  { "
_DETAIL = re.compile(rf"(?:{DETAILS})=".encode("ascii"))


@dataclass(frozen=True)
class Summary:
    """`records`: denial records seen (AVC and USER_AVC); `events`: the events they belong to; `denials`: one row per source type, target
    type and class; `selinux_err`: each distinct failure with how often it came; `ignored`: other records by kind; `unparsed`: records that
    may be denials and could not be read, with the first `unparsed_examples`."""

    records: int
    events: int
    denials: tuple[Denial, ...]
    selinux_err: tuple[tuple[SelinuxError, int], ...]
    ignored: dict[str, int]
    unparsed: int
    unparsed_examples: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "records": self.records,
            "events": self.events,
            "denials": [denial.to_json() for denial in self.denials],
            "selinux_err": [{**error.to_json(), "count": count} for error, count in self.selinux_err],
            "ignored": self.ignored,
            "unparsed": {"count": self.unparsed, "examples": list(self.unparsed_examples)},
        }


class _Collector:
    """Takes events. One whose records only repeat what was read before is counted, not read again."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.records = self.events = self.unparsed = 0
        self.errors: Counter[SelinuxError] = Counter()
        self.ignored: Counter[str] = Counter()
        self.examples: list[str] = []
        self.known: dict[tuple[bytes, bytes], Row] = {}

    def add(self, group: Group) -> None:
        repeated = self._repeated(group)
        if repeated is None:
            self._read(group)
            return
        rows, kinds = repeated
        for row, serial in rows:
            row.repeat(int(serial))
        self.records += len(rows)
        self.events += bool(rows)
        for kind in kinds:
            self._ignore(kind)

    def _repeated(self, group: Group) -> tuple[list[tuple[Row, bytes]], list[str]] | None:
        """The rows that an event's denials repeat, and the kinds of its other records; None where the event has to be read."""
        rows: list[tuple[Row, bytes]] = []
        kinds: list[str] = []
        for piece in group:
            if not isinstance(piece, RawLine):
                return None
            if piece.type == b"AVC":
                row = self.known.get(_variant(piece))
                if row is None or not _has_all(row, piece, group):
                    return None
                rows.append((row, piece.serial))
                continue
            kind = ignored_kind(piece.type)
            if kind is None:
                return None
            if kind:
                kinds.append(kind)
        return rows, kinds

    def _read(self, group: Group) -> None:
        event = event_of(group)
        denials = event.denials()
        self.records += len(denials)
        self.events += bool(denials)
        for piece, reading in zip(group, event.readings, strict=True):
            if isinstance(reading, AvcDenial) and not reading.granted:
                self._remember(piece, self.rows.add(reading))
        self.errors.update(event.selinux_errors())
        for kind in event.ignored():
            self._ignore(kind)
        for record in event.unparsed():
            self.unparsed += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(record.format().decode("utf-8")[:EXAMPLE_LENGTH])

    def _ignore(self, kind: str) -> None:
        self.ignored[kind if kind in self.ignored or len(self.ignored) < MAX_KINDS else "other"] += 1

    def _remember(self, piece: RawLine | Record, row: Row) -> None:
        """From now on such a line is known, whatever process, path or time it names."""
        if isinstance(piece, RawLine) and piece.line.startswith(_DENIED, piece.start):
            variant = _variant(piece)
            if variant[0].count(b"{") == 1:
                if len(self.known) >= MAX_KNOWN:
                    self.known.clear()
                self.known[variant] = row


def _variant(piece: RawLine) -> tuple[bytes, bytes]:
    """All of a denial that decides what it is: the permissions before, and the contexts, class and mode after what the process chose."""
    line = piece.line
    return line[piece.start : line.find(b"}", piece.start)], line[line.rfind(b" scontext=") :]


def _has_all(row: Row, piece: RawLine, group: Group) -> bool:
    """Whether neither the line nor the rest of its event can give an example that the row still lacks."""
    lacking = [name for has, name in ((row.comm, b"comm="), (row.exe, b"exe=")) if not has]
    if not row.path:
        lacking += [b"path=", b"name="]
    elif row.path[0] != "/":
        lacking += [b"path=", b"inode="]
    for other in group if lacking else ():
        if isinstance(other, RawLine) and any(name in other.line for name in lacking):
            return False
    return bool(row.detail) or not _DETAIL.search(piece.line, piece.start, piece.line.rfind(b" scontext="))


def summarise(lines: Iterable[bytes]) -> Summary:
    """Read a log of any form. Memory grows with the number of unique rows only."""
    found = _Collector()
    for group in assemble(lines):
        found.add(group)
    return Summary(
        records=found.records,
        events=found.events,
        denials=found.rows.denials(),
        selinux_err=tuple(found.errors.items()),
        ignored=dict(sorted(found.ignored.items())),
        unparsed=found.unparsed,
        unparsed_examples=tuple(found.examples),
    )
