"""Lines put together into events before anything in them is read: most of a log needs no more than that.

A line of audit.log's own form is kept as it is, with its type and where its text begins; every other form becomes Records at once.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from selab.audit.record import Record, parse_line

EVENT_SECONDS = 2.0
"""An event is over when the log is this much further: auditd's own rule (auditd.conf, end_of_event_timeout)."""
MAX_OPEN = 512
"""Events kept open at a time. The kernel interleaves as many as there are processors; beyond this the oldest is taken as it is."""

_RAW = re.compile(rb"type=([A-Z][A-Z_0-9]{1,39}) msg=audit\((([0-9]{1,10}\.[0-9]{3}):(0|[1-9][0-9]{0,18}))\): ")


RawLine = tuple[bytes, bytes, bytes, int]
"""A line that holds one record in audit.log's form: its type, its serial number, the whole line, and where its text begins."""
Group = Sequence[RawLine | Record]
"""The records of one event, in the log's order."""


class _Open:
    """The events that may still get records, oldest first, each with the time of its first record. `oldest` is a time that none of them
    is before: it saves a look at the first one for every new event."""

    def __init__(self) -> None:
        self.groups: OrderedDict[bytes, tuple[float | None, list[RawLine | Record]]] = OrderedDict()
        self.oldest = math.inf

    def add(self, key: bytes, time: float | None, piece: RawLine | Record, last: bool) -> Sequence[Group]:
        """Take one record, the `last` of its event or not; return the events that are over because of it."""
        over: list[Group] = []
        known = self.groups.get(key)
        if known is not None:
            known[1].append(piece)
        else:
            if len(self.groups) >= MAX_OPEN or (time is not None and time - self.oldest > EVENT_SECONDS):
                over = self._expired(time)
            if time is not None and time < self.oldest:
                self.oldest = time
            self.groups[key] = (time, [piece])
        if last:
            over.append(self.groups.pop(key)[1])
        return over

    def _expired(self, now: float | None) -> list[Group]:
        over: list[Group] = []
        self.oldest = math.inf
        while self.groups:
            then = next(iter(self.groups.values()))[0]
            is_over = now is not None and then is not None and now - then > EVENT_SECONDS
            if not is_over and len(self.groups) < MAX_OPEN:
                self.oldest = math.inf if then is None else then
                break
            over.append(self.groups.popitem(last=False)[1][1])
        return over

    def rest(self) -> Iterator[Group]:
        while self.groups:
            yield self.groups.popitem(last=False)[1][1]


def assemble(lines: Iterable[bytes]) -> Iterator[Group]:
    """The events of a log, each when it is over; the rule is told at `event.read_events`."""
    opened = _Open()
    ended = False
    for line in lines:
        closed = line[-1:] == b"\n"
        was_cut = ended and not closed
        ended = closed
        raw = _RAW.match(line)
        if raw and not was_cut and line.find(b"audit(", raw.end()) < 0:
            kind, key, stamp, serial = raw.groups()
            yield from opened.add(key, float(stamp), (kind, serial, line, raw.end()), kind == b"EOE")
        else:
            yield from _add_others(opened, line, was_cut)
    yield from opened.rest()


def _add_others(opened: _Open, line: bytes, was_cut: bool) -> Iterator[Group]:
    """A last line without the line end that the others have was still being written: its last record is partial."""
    records = parse_line(line)
    for place, record in enumerate(records, start=1):
        if was_cut and place == len(records):
            record = Record(record.type, record.serial, record.stamp, record.text, record.node, partial=True)
        if record.serial is None:
            yield (record,)
        else:
            yield from opened.add(_key(record), record.time, record, record.type == "EOE")


def _key(record: Record) -> bytes:
    return f"{record.node} {record.stamp}:{record.serial}".lstrip().encode("utf-8")
