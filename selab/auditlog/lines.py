"""Group lines into events before their content is parsed, which most lines of a log never need.

A line in audit.log's own form stays raw, with its type and the offset of its text; other forms become Records
at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from selab.auditlog.duplicates import COMPARED, Duplicates
from selab.auditlog.joined import BRACE, OWN_DECISION
from selab.auditlog.records import Record, parse_line

MAX_OPEN = 512
"""Events kept open at a time.

The kernel interleaves as many as there are processors. Beyond this limit, the older half is closed.
"""

_NEWLINE = 10
_OWN_DECISION = re.compile(OWN_DECISION.encode())
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
        raw = _RAW.match(line)
        if raw:
            start = raw.end()
            closed = line[-1] == _NEWLINE
            if (  # `joined.is_single` for bytes, in place: this decides how fast a log is read
                (closed or not ended)
                and (line.find(b"{", start + BRACE) < 0 or _OWN_DECISION.match(line))
                and (line.find(b"(", start) < 0 or line.find(b"audit(", start) < 0)
                and (
                    line.find(b"R", start) < 0
                    or (line.find(b"_ERR", start) < 0 > line.find(b"ER_AVC", start))
                )
            ):
                ended = closed
                kind, key, serial = raw.groups()
                if kind in COMPARED and duplicates.has_line(line):
                    continue
                if key in opened:
                    opened[key].append((kind, serial, line, start))
                else:
                    opened[key] = [(kind, serial, line, start)]
                    if len(opened) > MAX_OPEN:
                        for oldest in _oldest(opened):
                            yield opened.pop(oldest)
                if kind == b"EOE":
                    yield opened.pop(key)
                continue
        closed = line[-1:] == b"\n"
        was_cut = ended and not closed
        ended = closed
        yield from _add_others(opened, duplicates, line, was_cut)
    yield from opened.values()


def _oldest(opened: Iterable[bytes]) -> list[bytes]:
    """Return the keys of the events to close when too many are open."""
    return list(islice(opened, MAX_OPEN // 2))


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
            for oldest in _oldest(opened):
                yield opened.pop(oldest)
        if record.type == "EOE":
            yield opened.pop(key)
