"""Events: the records that share one serial number, put together again from a log in which several events are interleaved."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selab.auditlog.denials import AvcDenial, SelinuxError
from selab.auditlog.lines import Group, assemble
from selab.auditlog.reading import Ignored, read_record
from selab.auditlog.records import Record, parse_line


@dataclass(frozen=True)
class Event:
    """The records of one (node, stamp, serial), in the log's order. A record without a serial number is an event of its own."""

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
    def readings(self) -> tuple[AvcDenial | SelinuxError | Ignored | None, ...]:
        """What each record says, in their order; None for one that could not be read."""
        return tuple(read_record(record, self.records) for record in self.records)

    def denials(self) -> tuple[AvcDenial, ...]:
        """What SELinux denied in this event, the kernel's and object managers' alike; decisions that were granted are not among them."""
        return tuple(one for one in self.readings if isinstance(one, AvcDenial) and not one.granted)

    def selinux_errors(self) -> tuple[SelinuxError, ...]:
        """The failures without a denial."""
        return tuple(one for one in self.readings if isinstance(one, SelinuxError))

    def ignored(self) -> tuple[str, ...]:
        """The kinds of the records that are neither, one entry a record; those that only describe the event are not counted."""
        return tuple(_kind(one) for one in self.readings if _kind(one))

    def unparsed(self) -> tuple[Record, ...]:
        """Records that could not be read: each may be a denial, so nobody may say "no denials" beside one."""
        return tuple(
            record for record, reading in zip(self.records, self.readings, strict=True) if reading is None
        )

    def format(self) -> tuple[bytes, ...]:
        """The event as lines of audit.log, without line ends."""
        return tuple(record.format() for record in self.records)


def _kind(reading: AvcDenial | SelinuxError | Ignored | None) -> str:
    if isinstance(reading, AvcDenial) and reading.granted:
        return "granted"
    return reading.kind if isinstance(reading, Ignored) else ""


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a log, each when it is over, in constant memory.

    An event is over with its EOE record, when MAX_OPEN younger ones are open, or with the log. A record that comes later than that makes a
    second event with the same serial number. Events come in the order in which they end, the ones without an end in the order of their
    first record.
    """
    for group in assemble(lines):
        yield event_of(group)


def event_of(group: Group) -> Event:
    """Read the records of an event that was put together."""
    return Event(tuple(piece if isinstance(piece, Record) else parse_line(piece[2])[0] for piece in group))
