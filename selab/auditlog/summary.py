"""Summarise a whole log: its unique denials, what else SELinux reported, and what was ignored."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from selab.auditlog.denials import AvcDenial, Denial, Row, Rows, SelinuxError
from selab.auditlog.events import event_of
from selab.auditlog.lines import Group, RawLine, assemble
from selab.auditlog.losses import Losses
from selab.auditlog.names import DESCRIBING_TYPES
from selab.auditlog.reading import ignored_kind
from selab.auditlog.records import Record

MAX_EXAMPLES = 5
EXAMPLE_LENGTH = 400
MAX_KINDS = 256
"""Ignored kinds to distinguish: a hostile log can invent any number."""
MAX_ROWS = 10_000
"""Unique denials, and also unique errors, to report. A real log has some hundreds; 300,000 took 1.7 GB."""
MAX_KNOWN = 8192
"""Variants of denials to remember at a time, which takes some MB."""

_DENIED = b"avc:  denied  { "
_IOCTL = b" ioctl "
_DESCRIBING = frozenset(name.encode() for name in DESCRIBING_TYPES)
_CONTEXT = rb"[!-9;-~]+:[!-9;-~]+:([!-9;-~]+)(?::[!-~]+)?"
_TYPES = re.compile(
    rb" scontext=" + _CONTEXT + rb" tcontext=" + _CONTEXT + rb" (tclass=[^\n]*\n?)\Z", re.DOTALL
)


@dataclass(frozen=True)
class Summary:
    """The summary of a log.

    records: number of denial records (AVC and USER_AVC).
    events: number of events that they belong to.
    denials: one row per source type, target type and class.
    selinux_err: each distinct failure with its count.
    ignored: counts of other records by kind.
    unparsed: number of records that may be denials and could not be parsed.
    unparsed_examples: the first of these records.
    omitted: number of denials and errors beyond MAX_ROWS, which have no row.
    incomplete: why records are missing from the log, as notices in it say.
    """

    records: int
    events: int
    denials: tuple[Denial, ...]
    selinux_err: tuple[tuple[SelinuxError, int], ...]
    ignored: dict[str, int]
    unparsed: int
    unparsed_examples: tuple[str, ...]
    omitted: int = 0
    incomplete: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "records": self.records,
            "events": self.events,
            "denials": [denial.to_json() for denial in self.denials],
            "selinux_err": [{**error.to_json(), "count": count} for error, count in self.selinux_err],
            "ignored": self.ignored,
            "unparsed": {"count": self.unparsed, "examples": list(self.unparsed_examples)},
            **({"omitted": self.omitted} if self.omitted else {}),
            **({"incomplete": list(self.incomplete)} if self.incomplete else {}),
        }


class _Collector:
    """Collects events. An event whose records only repeat earlier ones is counted without parsing."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.lone = self.records = self.events = self.unparsed = self.omitted = 0
        self.errors: Counter[SelinuxError] = Counter()
        self.ignored: Counter[str] = Counter()
        self.examples: list[str] = []
        self.known: dict[tuple[bytes, ...], Row] = {}
        self.losses = Losses()

    def add(self, group: Group) -> None:
        piece = group[0]
        if piece.__class__ is tuple and piece[0] == b"AVC":
            # A known denial whose event's other records only describe it, the most frequent case
            for other in group[1:]:
                if other.__class__ is not tuple or other[0] not in _DESCRIBING:
                    break
            else:
                row = self._known_row(piece[2], piece[3])
                if row is None:
                    self._read(group)
                else:
                    row.repeat_raw(piece[1])
                    self.lone += 1
                return
        repeated = self._repeated(group)
        if repeated is None:
            self._read(group)
            return
        rows, kinds = repeated
        for row, serial in rows:
            row.repeat_raw(serial)
        self.records += len(rows)
        self.events += bool(rows)
        for kind in kinds:
            self._ignore(kind)

    def _repeated(self, group: Group) -> tuple[list[tuple[Row, bytes]], list[str]] | None:
        """Return the rows that an event's denials repeat and the kinds of its other records.

        None means that the event must be parsed.
        """
        rows: list[tuple[Row, bytes]] = []
        kinds: list[str] = []
        for piece in group:
            if isinstance(piece, Record):
                return None
            kind, serial, line, start = piece
            if kind == b"AVC":
                row = self._known_row(line, start)
                if row is None:
                    return None
                rows.append((row, serial))
                continue
            ignored = ignored_kind(kind)
            if ignored is None:
                return None
            if ignored:
                kinds.append(ignored)
        return rows, kinds

    def _known_row(self, line: bytes, start: int) -> Row | None:
        """Return a denial's row if the row is settled, or if its contexts were seen before."""
        # `_decisive` in place, with its question about ioctl last: most lines end at the first `return`
        permissions, subject = line[start : line.find(b"}", start)], line[line.rfind(b" scontext=") :]
        types = _types(subject)
        if types:
            row = self.known.get((permissions, *types))
            if row is not None and row.is_settled:
                return row
        row = self.known.get((permissions, subject))
        if row is None and _IOCTL in permissions:
            permissions, subject = _decisive(line, start)
            row = self.known.get((permissions, *types))
            return row if row is not None and row.is_settled else self.known.get((permissions, subject))
        return row

    def _read(self, group: Group) -> None:
        event = event_of(group)
        denials = event.denials()
        self.records += len(denials)
        self.events += bool(denials)
        for piece, reading in zip(group, event.readings, strict=True):
            if isinstance(reading, AvcDenial) and not reading.granted:
                if self.rows.has_row_for(reading) or len(self.rows) < MAX_ROWS:
                    self._remember(piece, self.rows.add(reading))
                else:
                    self.omitted += 1
        for error in event.selinux_errors():
            if error in self.errors or len(self.errors) < MAX_ROWS:
                self.errors[error] += 1
            else:
                self.omitted += 1
        for kind in event.ignored():
            self._ignore(kind)
        for loss in event.losses():
            self.losses.add(loss)
        for record in event.unparsed():
            self.unparsed += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(record.format().decode("utf-8")[:EXAMPLE_LENGTH])

    def _ignore(self, kind: str) -> None:
        self.ignored[kind if kind in self.ignored or len(self.ignored) < MAX_KINDS else "other"] += 1

    def _remember(self, piece: RawLine | Record, row: Row) -> None:
        """Remember a line's row: later lines may differ in process, path and time.

        For a settled row they may also differ in users, roles and levels.
        """
        if isinstance(piece, Record):
            return
        _, _, line, start = piece
        permissions, subject = _decisive(line, start)
        if not line.startswith(_DENIED, start) or permissions.count(b"{") != 1:
            return
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        general = _without_levels(permissions, subject)
        if general:
            self.known[general] = row
        if not row.is_settled or not general:
            self.known[(permissions, subject)] = row


def _decisive(line: bytes, start: int) -> tuple[bytes, bytes]:
    """Return what identifies a denial: permissions, with an ioctl's command; and contexts, class and mode."""
    permissions, subject = line[start : line.find(b"}", start)], line[line.rfind(b" scontext=") :]
    if _IOCTL in permissions:
        _, name, command = line[start + len(permissions) : len(line) - len(subject)].rpartition(b" ioctlcmd=")
        permissions += b" ioctlcmd=" + (command.split(b" ", 1)[0] if name else b"")
    return permissions, subject


def _without_levels(permissions: bytes, subject: bytes) -> tuple[bytes, ...]:
    """Return the key without users, roles and levels; empty, which matches no row, if a context is odd."""
    types = _types(subject)
    return (permissions, *types) if types else ()


@functools.lru_cache(maxsize=4096)
def _types(subject: bytes) -> tuple[bytes, ...]:
    match = _TYPES.match(subject)
    return match.groups() if match else ()


def summarise(lines: Iterable[bytes]) -> Summary:
    """Summarise a log of any form. Memory grows with the number of unique rows, at most MAX_ROWS."""
    collector = _Collector()
    for group in assemble(lines):
        collector.add(group)
    return Summary(
        records=collector.lone + collector.records,
        events=collector.lone + collector.events,
        denials=collector.rows.denials(),
        selinux_err=tuple(collector.errors.items()),
        ignored=dict(sorted(collector.ignored.items())),
        unparsed=collector.unparsed,
        unparsed_examples=tuple(collector.examples),
        omitted=collector.omitted,
        incomplete=collector.losses.reasons(),
    )
