"""A whole log in one value: its unique denials, what else SELinux reported, and what was passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from selab.audit.denial import Denial, Rows, SelinuxError
from selab.audit.event import Event, read_events

MAX_EXAMPLES = 5
EXAMPLE_LENGTH = 400
MAX_KINDS = 256
"""Names of ignored kinds to tell apart: a hostile log can invent any number."""


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
        for row, serial in repeated:
            row.repeat(int(serial))
        self.records += len(repeated)
        self.events += bool(repeated)

    def _repeated(self, group: Group) -> list[tuple[Row, bytes]] | None:
        """The rows that the denials of an event repeat; None where the event has to be read."""
        repeated = []
        for piece in group:
            if not isinstance(piece, RawLine):
                return None
            if piece.type == b"AVC":
                row = self.known.get(_variant(piece))
                if row is None or not _has_all(row, piece.line, len(group) > 1):
                    return None
                repeated.append((row, piece.serial))
            elif not describes(piece.type.decode("ascii")):
                return None
        return repeated

    def _read(self, group: Group) -> None:
        event = event_of(group)
        denials = event.denials()
        self.records += len(denials)
        self.events += bool(denials)
        rows = [self.rows.add(avc) for avc in denials]
        if len(rows) == 1:
            self._remember(group, rows[0])
        self.errors.update(event.selinux_errors())
        for kind in event.ignored():
            self.ignored[kind if kind in self.ignored or len(self.ignored) < MAX_KINDS else "other"] += 1
        for record in event.unparsed():
            self.unparsed += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(record.format().decode("utf-8")[:EXAMPLE_LENGTH])

    def _remember(self, group: Group, row: Row) -> None:
        """From now on the line of an event's only denial is known, whatever process, path or time it names."""
        lines = [piece for piece in group if isinstance(piece, RawLine) and piece.type == b"AVC"]
        if len(lines) == 1 and lines[0].line.startswith(_DENIED, lines[0].start):
            if len(self.known) >= MAX_KNOWN:
                self.known.clear()
            self.known[_variant(lines[0])] = row


def _variant(piece: RawLine) -> tuple[bytes, bytes]:
    """All of a denial that decides what it is: the permissions before, and the contexts, class and mode after what the process chose."""
    line = piece.line
    return line[piece.start : line.find(b"}", piece.start)], line[line.rfind(b" scontext=") :]


def _has_all(row: Row, line: bytes, with_others: bool) -> bool:
    """Whether neither the line nor the rest of its event can have an example that the row still lacks."""
    return bool(
        (row.comm or not (with_others or b"comm=" in line))
        and (row.path or not (with_others or b"path=" in line or b"name=" in line))
        and (row.exe or not with_others)
        and (row.detail or not _DETAIL.search(line))
    )


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
