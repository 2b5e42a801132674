"""Lines put together into events before anything in them is read: most of a log needs no more than that.

A line of audit.log's own form is kept as it is, with its type and where its text begins; every other form becomes Records at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from selab.auditlog.records import Record, parse_line

MAX_OPEN = 512
"""Events kept open at a time. The kernel interleaves as many as there are processors; beyond this the older half is taken as it is."""

_RAW = re.compile(rb"type=([A-Z][A-Z_0-9]{1,39}) msg=audit\(([0-9]{1,10}\.[0-9]{3}:(0|[1-9][0-9]{0,18}))\): ")


RawLine = tuple[bytes, bytes, bytes, int]
"""A line that holds one record in audit.log's form: its type, its serial number, the whole line, and where its text begins."""
Group = Sequence[RawLine | Record]
"""The records of one event, in the log's order."""


def assemble(lines: Iterable[bytes]) -> Iterator[Group]:
    """The events of a log, each when it is over; the rule is told at `event.read_events`."""
    opened: dict[bytes, list[RawLine | Record]] = {}
    ended = False
    for line in lines:
        closed = line[-1:] == b"\n"
        was_cut = ended and not closed
        ended = closed
        raw = _RAW.match(line)
        if raw and not was_cut and line.find(b"audit(", raw.end()) < 0:
            kind, key, serial = raw.groups()
            group = opened.get(key)
            if group is None:
                opened[key] = [(kind, serial, line, raw.end())]
                if len(opened) > MAX_OPEN:
                    yield from _oldest(opened)
            else:
                group.append((kind, serial, line, raw.end()))
            if kind == b"EOE":
                yield opened.pop(key)
        else:
            yield from _add_others(opened, line, was_cut)
    yield from opened.values()


def _oldest(opened: dict[bytes, list[RawLine | Record]]) -> Iterator[Group]:
    for key in list(islice(opened, MAX_OPEN // 2)):
        yield opened.pop(key)


def _add_others(opened: dict[bytes, list[RawLine | Record]], line: bytes, was_cut: bool) -> Iterator[Group]:
    """A last line without the line end that the others have was still being written: its last record is partial."""
    records = parse_line(line)
    for place, record in enumerate(records, start=1):
        if was_cut and place == len(records):
            record = Record(record.type, record.serial, record.stamp, record.text, record.node, partial=True)
        if record.serial is None:
            yield (record,)
            continue
        key = f"{record.node} {record.stamp}:{record.serial}".lstrip().encode("utf-8")
        opened.setdefault(key, []).append(record)
        if len(opened) > MAX_OPEN:
            yield from _oldest(opened)
        if record.type == "EOE":
            yield opened.pop(key)
