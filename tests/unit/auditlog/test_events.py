"""Events: interleaved records put together, completion, what the rest of an event adds to a denial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.auditlog.events import Event, read_events
from selab.auditlog.lines import MAX_OPEN
from selab.auditlog.records import Record
from tests.unit.auditlog.records import avc, logs, path, syscall


def as_sets(events: list[Event]) -> Counter[frozenset[tuple[Record, int]]]:
    return Counter(frozenset(Counter(event.records).items()) for event in events)


EVENTS = [record for serial in range(1, 6) for record in (avc(serial), syscall(serial), path(serial))]


@given(st.permutations(EVENTS))
def test_trap_16_an_events_records_may_be_interleaved(lines: list[bytes]) -> None:
    assert as_sets(list(read_events(lines))) == as_sets(list(read_events(EVENTS)))


def test_the_same_serial_at_another_time_is_another_event() -> None:
    assert len(list(read_events([avc(1), avc(1, time=1700000000.124)]))) == 2


def test_the_same_serial_of_another_node_is_another_event() -> None:
    assert len(list(read_events([b"node=a " + avc(1), b"node=b " + avc(1)]))) == 2


def test_records_without_a_serial_are_events_of_their_own() -> None:
    assert len(list(read_events([avc(head="audit: AVC ")] * 2))) == 2


def test_eoe_ends_an_event() -> None:
    events = read_events([avc(1), b"type=EOE msg=audit(1700000000.123:1): \n", avc(2)])
    assert [record.type for record in next(events).records] == ["AVC", "EOE"]


def test_records_joined_on_a_raw_line_are_all_read() -> None:
    joined = avc(1).rstrip() + b" " + avc(2)
    assert [event.serial for event in read_events([joined])] == [1, 2]


def test_the_number_of_open_events_is_bounded() -> None:
    taken = []

    def lines() -> Iterator[bytes]:
        for serial in range(MAX_OPEN + 1):
            taken.append(serial)
            yield avc(serial)

    next(read_events(lines()))
    assert len(taken) == MAX_OPEN + 1


def test_the_syscall_gives_the_program() -> None:
    (event,) = read_events([avc(1), syscall(1, exe=b"/usr/sbin/httpd")])
    assert event.denials()[0].exe == "/usr/sbin/httpd"


def test_a_record_with_the_same_inode_gives_the_path() -> None:
    named = avc(1).replace(b'path="/etc/passwd"', b'name="passwd"')
    (event,) = read_events([named, path(1, name=b"/etc/passwd", inode=7)])
    assert event.denials()[0].path == "/etc/passwd"


def test_a_record_with_another_inode_gives_no_path() -> None:
    named = avc(1).replace(b'path="/etc/passwd"', b'name="passwd"')
    (event,) = read_events([named, path(1, name=b"/etc", inode=8)])
    assert event.denials()[0].path == "passwd"


def test_a_relative_path_is_below_the_working_directory() -> None:
    named = avc(1).replace(b'path="/etc/passwd"', b'name="passwd"')
    cwd = b'type=CWD msg=audit(1700000000.123:1): cwd="/etc"\n'
    (event,) = read_events([named, cwd, path(1, name=b"passwd", inode=7)])
    assert event.denials()[0].path == "/etc/passwd"


def test_avc_path_gives_the_path() -> None:
    bare = avc(1).replace(b' path="/etc/passwd"', b"")
    (event,) = read_events([bare, b'type=AVC_PATH msg=audit(1700000000.123:1):  path="/srv/x"\n'])
    assert event.denials()[0].path == "/srv/x"


def test_a_last_line_without_its_end_was_being_written() -> None:
    cut = avc(2, permissive=None)[:-1]
    assert [bool(event.unparsed()) for event in read_events([avc(1, permissive=None), cut])] == [False, True]


def test_lines_without_line_ends_are_whole() -> None:
    lines = [avc(serial, permissive=None).rstrip() for serial in (1, 2)]
    assert [bool(event.unparsed()) for event in read_events(lines)] == [False, False]


@given(logs())
def test_a_formatted_event_parses_to_the_same_event(lines: list[bytes]) -> None:
    for event in read_events(lines):
        assert [again.records for again in read_events(event.format())] == [event.records]


@pytest.mark.parametrize("stamp", ["11/23/2026 22:01:02.123", "1700000000.123"])
def test_an_event_of_ausearch_is_one_event(stamp: str) -> None:
    lines = [
        f"type={kind} msg=audit({stamp}:7) : comm=a b\n".encode() for kind in ("PROCTITLE", "SYSCALL", "PATH")
    ]
    assert len(list(read_events(lines))) == 1
