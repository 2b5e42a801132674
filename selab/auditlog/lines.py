"""Group lines into events before their content is parsed, which most lines of a log never need.

A line in audit.log's own form stays raw, with its type and the offset of its text; other forms become Records
at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from selab.auditlog.duplicates import Duplicates
from selab.auditlog.joined import BRACE
from selab.auditlog.records import Record, parse_line

MAX_OPEN = 512
"""Events kept open at a time.

The kernel interleaves as many as there are processors. Beyond this limit, the older half is closed.
"""

_RAW = re.compile(rb"type=([A-Z][A-Z_0-9]{1,39}) msg=audit\(([0-9]{1,10}\.[0-9]{3}:(0|[1-9][0-9]{0,18}))\): ")


RawLine = tuple[bytes, bytes, bytes, int]
"""A line in audit.log's form: the record's type, its serial number, the line, the offset of its text."""
Group = Sequence[RawLine | Record]
"""The records of one event, in the log's order."""


def assemble(lines: Iterable[bytes]) -> Iterator[Group]:
    """Yield the events of a log when each ends, by the rule that `events.read_events` describes."""
    opened: dict[bytes, list[RawLine | Record]] = {}
    duplicates = Duplicates()
    ended = False
    for line in lines:
        closed = line[-1:] == b"\n"
        was_cut = ended and not closed
        ended = closed
        raw = _RAW.match(line)
        start = raw.end() if raw else 0
        if (  # `joined.is_single` for bytes, in place: this decides how fast a log is read
            raw
            and not was_cut
            and (line.find(b"(", start) < 0 or line.find(b"audit(", start) < 0)
            and line.find(b"{", start + BRACE) < 0
            and (line.find(b"R", start) < 0 or (line.find(b"_ERR", start) < 0 > line.find(b"ER_AVC", start)))
        ):
            kind, key, serial = raw.groups()
            group = opened.get(key)
            if group is None:
                opened[key] = [(kind, serial, line, start)]
                if len(opened) > MAX_OPEN:
                    yield from _oldest(opened)
            else:
                group.append((kind, serial, line, start))
            if kind == b"EOE":
                yield opened.pop(key)
        else:
            yield from _add_others(opened, duplicates, line, was_cut)
    yield from opened.values()


def _oldest(opened: dict[bytes, list[RawLine | Record]]) -> Iterator[Group]:
    for key in list(islice(opened, MAX_OPEN // 2)):
        yield opened.pop(key)


def _add_others(
    opened: dict[bytes, list[RawLine | Record]], duplicates: Duplicates, line: bytes, was_cut: bool
) -> Iterator[Group]:
    """Add the records of any other form.

    A last line without a line end was still being written, so its last record is partial.
    """
    records = parse_line(line)
    for place, record in enumerate(records, start=1):
        if was_cut and place == len(records):
            record = Record(record.type, record.serial, record.stamp, record.text, record.node, partial=True)
        name = "" if record.serial is None else f"{record.node} {record.stamp}:{record.serial}".lstrip()
        if duplicates.has(record, name):
            continue
        if not name:
            yield (record,)
            continue
        key = name.encode("utf-8")
        opened.setdefault(key, []).append(record)
        if len(opened) > MAX_OPEN:
            yield from _oldest(opened)
        if record.type == "EOE":
            yield opened.pop(key)
