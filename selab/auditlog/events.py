"""Assemble events, the records that share a serial number, from a log that interleaves several."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from selab.auditlog.denials import AvcDenial, SelinuxError
from selab.auditlog.lines import Group, assemble
from selab.auditlog.losses import Loss
from selab.auditlog.reading import SIBLINGS, Ignored, Reading, read_record
from selab.auditlog.records import Record, parse_line

MAX_SIBLINGS = 64
"""Records of an event that can describe its denials. The kernel writes one for each path of a system call."""


@dataclass(frozen=True)
class Event:
    """The records of one event.

    records: records with the same node, stamp and serial, in the log's order; a record without serial is an
        event.
    """

    records: tuple[Record, ...]

    @property
    def serial(self) -> int | None:
        return self.records[0].serial

    @property
    def time(self) -> float | None:
        return self.records[0].time

    @property
    def node(self) -> str:
        return self.records[0].node

    @functools.cached_property
    def readings(self) -> tuple[Reading | None, ...]:
        """Interpret each record, in order; None for one that is unreadable."""
        if len(self.records) == 1:
            return (read_record(self.records[0], ()),)
        describing = tuple(
            islice((record for record in self.records if record.type in SIBLINGS), MAX_SIBLINGS)
        )
        return tuple(read_record(record, describing) for record in self.records)

    def denials(self) -> tuple[AvcDenial, ...]:
        """Return what the kernel and object managers denied in this event, without granted decisions."""
        return tuple(
            reading for reading in self.readings if isinstance(reading, AvcDenial) and not reading.granted
        )

    def selinux_errors(self) -> tuple[SelinuxError, ...]:
        """Return the failures without a denial."""
        return tuple(reading for reading in self.readings if isinstance(reading, SelinuxError))

    def losses(self) -> tuple[Loss, ...]:
        """Return the notices that records were lost."""
        return tuple(reading for reading in self.readings if isinstance(reading, Loss))

    def ignored(self) -> tuple[str, ...]:
        """Return the kind of each other record; records that only describe the event are not counted."""
        return tuple(_kind(reading) for reading in self.readings if _kind(reading))

    def unparsed(self) -> tuple[Record, ...]:
        """Return records that are unreadable: each may be a denial, so "no denials" would be unproven."""
        return tuple(
            record for record, reading in zip(self.records, self.readings, strict=True) if reading is None
        )

    def format(self) -> tuple[bytes, ...]:
        """Format the event as lines of audit.log, without line ends."""
        return tuple(record.format() for record in self.records)


def _kind(reading: Reading | None) -> str:
    if isinstance(reading, AvcDenial) and reading.granted:
        return "granted"
    return reading.kind if isinstance(reading, Ignored) else ""


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a log when each ends, in constant memory.

    An event ends with its EOE record, when MAX_OPEN younger ones are open, or with the log. A record that
    comes later makes a second event with the same serial number. Events come in the order in which they end,
    those without an end in the order of their first record.
    """
    for group in assemble(lines):
        yield event_of(group)


def event_of(group: Group) -> Event:
    """Parse the records of an assembled event."""
    return Event(tuple(piece if isinstance(piece, Record) else parse_line(piece[2])[0] for piece in group))
