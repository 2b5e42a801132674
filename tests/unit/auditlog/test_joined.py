"""Two records of the corpus on one line: both are read, or selab says that something could not be read."""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from selab.auditlog.denials import AvcDenial, SelinuxError
from selab.auditlog.events import read_events
from tests.unit.auditlog.test_corpus import LOGS, lines

SEPARATORS = (
    b"",
    b" ",
    b"\t",
    b"\0",
    b"\r",
    b"\\n",
    b"#012",
    b" Nov 21 16:22:09 host kernel: ",
    b"Nov 21 16:22:09 host audit[704]: ",
)
"""What stands between two records if a log joins their lines."""
DECISIVE = (b"avc:", b"op=sec", b"USER_AVC pid=")
"""A part of a record that has as many of these as the whole shows that there was a record that matters."""


class Readings(NamedTuple):
    """What selab read: decisions and failures by what identifies them, and the number of unread records."""

    results: Counter[tuple[object, ...]]
    unread: int


def readings(*log: bytes) -> Readings:
    results: Counter[tuple[object, ...]] = Counter()
    unread = 0
    for event in read_events(log):
        unread += len(event.unparsed())
        for reading in event.readings:
            if isinstance(reading, AvcDenial):
                results[_identity(reading)] += 1
            elif isinstance(reading, SelinuxError):
                results[(reading.kind, reading.scontext, reading.tcontext, reading.tclass)] += 1
    return Readings(results, unread)


def _identity(avc: AvcDenial) -> tuple[object, ...]:
    access = (avc.source, avc.target, avc.tclass, avc.permissions, avc.permissive, avc.granted)
    return (*access, avc.userspace, avc.comm, avc.path, avc.raw_source, avc.raw_target)


def _records() -> list[bytes]:
    """The lines of the corpus that are whole records."""
    each = [line.rstrip(b"\r\n") for log in LOGS for line in lines(log)]
    return sorted(
        {
            line
            for line in each
            if any(record.type for event in read_events([line]) for record in event.records)
            and not readings(line).unread
            and line.count(b"msg='") == line.count(b"'") / 2
        }
    )


RECORDS = _records()


def plain(record: bytes) -> bytes:
    return record


def docker(record: bytes) -> bytes:
    entry = {"log": record.decode() + "\n", "stream": "stdout", "time": "2026-11-21T16:22:09Z"}
    return json.dumps(entry, separators=(",", ":")).encode()


def journal(record: bytes) -> bytes:
    return json.dumps({"PRIORITY": "5", "MESSAGE": record.decode(), "_TRANSPORT": "syslog"}).encode()


FORMS = (plain, docker, journal)


def check(first: bytes, second: bytes, joined: bytes, part: bytes) -> None:
    """Fail if `joined`, which holds `part` of the first record and the second, has a third result."""
    result = readings(joined)
    alone, other, together = readings(first).results, readings(second).results, readings(first, second)
    invented = set(result.results) - set(alone) - set(other) - set(together.results)
    assert not invented, f"a third result: {invented}"
    is_visible = any(mark in part for mark in DECISIVE) and all(
        part.count(mark) == first.count(mark) for mark in DECISIVE
    )
    # One record in two forms, such as a line and JSON, is one event.
    expected = other + (alone if is_visible and first != second else Counter())
    lost = sum(expected.values()) - sum(result.results.values())
    assert lost <= 0 or result.unread, f"{lost} records were lost without a word"


JOINS = {
    "first": st.sampled_from(RECORDS),
    "second": st.sampled_from(RECORDS),
    "separator": st.sampled_from(SEPARATORS),
    "forms": st.tuples(st.sampled_from(FORMS), st.sampled_from(FORMS)),
}


@settings(max_examples=2 * settings().max_examples)
@given(**JOINS)
def test_two_whole_records_on_a_line(first: bytes, second: bytes, separator: bytes, forms: tuple) -> None:  # type: ignore[type-arg]
    check(first, second, forms[0](first) + separator + forms[1](second), first)


@settings(max_examples=3 * settings().max_examples)
@given(cut=st.floats(0, 1), **JOINS)
def test_half_a_record_and_a_whole_one(
    first: bytes,
    second: bytes,
    separator: bytes,
    forms: tuple,  # type: ignore[type-arg]
    cut: float,
) -> None:
    whole = forms[0](first)
    part = whole[: int(cut * len(whole))]
    check(first, second, part + separator + forms[1](second), part)


@given(form=st.sampled_from(FORMS[1:]), **{name: JOINS[name] for name in ("first", "second", "separator")})
def test_two_records_in_one_json_string(first: bytes, second: bytes, separator: bytes, form: object) -> None:
    check(first, second, form(first + separator + second), first)  # type: ignore[operator]


def test_the_corpus_has_records_of_many_kinds() -> None:
    assert len(RECORDS) > 50
