"""Events: the records that share one serial number, put together again from a log in which several events are interleaved."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from selab.audit.denial import AvcDenial, SelinuxError
from selab.audit.reading import Ignored, read_record
from selab.audit.record import Record, parse_line

EVENT_SECONDS = 2.0
"""An event is over when the log is this much further: auditd's own rule (auditd.conf, end_of_event_timeout)."""
MAX_OPEN = 512
"""Events kept open at a time. The kernel interleaves as many as there are processors; beyond this the oldest is taken as it is."""


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
    def _readings(self) -> tuple[AvcDenial | SelinuxError | Ignored | None, ...]:
        return tuple(read_record(record, self.records) for record in self.records)

    def denials(self) -> tuple[AvcDenial, ...]:
        """What SELinux denied in this event, the kernel's and object managers' alike; decisions that were granted are not among them."""
        return tuple(one for one in self._readings if isinstance(one, AvcDenial) and not one.granted)

    def selinux_errors(self) -> tuple[SelinuxError, ...]:
        """The failures without a denial."""
        return tuple(one for one in self._readings if isinstance(one, SelinuxError))

    def ignored(self) -> tuple[str, ...]:
        """The kinds of the records that are neither, one entry a record; those that only describe the event are not counted."""
        return tuple(_kind(one) for one in self._readings if _kind(one))

    def unparsed(self) -> tuple[Record, ...]:
        """Records that could not be read: each may be a denial, so nobody may say "no denials" beside one."""
        return tuple(record for record, reading in zip(self.records, self._readings, strict=True) if reading is None)

    def format(self) -> tuple[bytes, ...]:
        """The event as lines of audit.log, without line ends."""
        return tuple(record.format() for record in self.records)


def _kind(reading: AvcDenial | SelinuxError | Ignored | None) -> str:
    if isinstance(reading, AvcDenial) and reading.granted:
        return "granted"
    return reading.kind if isinstance(reading, Ignored) else ""


@dataclass
class _Open:
    """The events that may still get records, oldest first."""

    events: OrderedDict[tuple[str, str, int], list[Record]] = field(default_factory=OrderedDict)

    def add(self, record: Record) -> Iterator[Event]:
        """Take one record; yield the events that are over because of it."""
        if record.serial is None:
            yield Event((record,))
            return
        key = (record.node, record.stamp, record.serial)
        known = self.events.get(key)
        if known is not None:
            known.append(record)
        else:
            yield from self._expired(record)
            self.events[key] = [record]
        if record.type == "EOE":
            yield Event(tuple(self.events.pop(key)))

    def _expired(self, record: Record) -> Iterator[Event]:
        now = record.time
        while self.events:
            key, oldest = next(iter(self.events.items()))
            then = oldest[0].time
            over = now is not None and then is not None and now - then > EVENT_SECONDS
            if not over and len(self.events) < MAX_OPEN:
                return
            del self.events[key]
            yield Event(tuple(oldest))

    def rest(self) -> Iterator[Event]:
        while self.events:
            yield Event(tuple(self.events.popitem(last=False)[1]))


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a log, each when it is over, in constant memory.

    An event is over with its EOE record; when an event begins that is more than EVENT_SECONDS later; when MAX_OPEN are open; or with the
    log. A record that comes later than that makes a second event with the same serial number. Events come in the order in which they
    end, the ones without an end in the order of their first record.
    """
    opened = _Open()
    for record in read_records(lines):
        yield from opened.add(record)
    yield from opened.rest()


def read_records(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of a log in its order. A last line without the line end that the others have was being written: it is partial."""
    ended = False
    for line in lines:
        records = parse_line(line)
        if ended and line[-1:] != b"\n" and records:
            records = (*records[:-1], _as_partial(records[-1]))
        ended = line[-1:] == b"\n"
        yield from records


def _as_partial(record: Record) -> Record:
    return Record(record.type, record.serial, record.stamp, record.text, record.node, partial=True)
