"""The summary of a log: complete, the same as reading every record with care, in constant memory."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

import pytest
from hypothesis import given

from selab.auditlog.denials import MAX_EVIDENCE, group
from selab.auditlog.events import Event, event_of, read_events
from selab.auditlog.lines import Group
from selab.auditlog.summary import MAX_EXAMPLES, Summary, summarise
from tests.unit.auditlog.records import avc, logs, syscall


def carefully(lines: list[bytes]) -> Summary:
    """What `summarise` must give, by reading every record of every event."""
    events = list(read_events(lines))
    denials = [avc for event in events for avc in event.denials()]
    unparsed = [record for event in events for record in event.unparsed()]
    return Summary(
        records=len(denials),
        events=sum(bool(event.denials()) for event in events),
        denials=group(denials),
        selinux_err=tuple(Counter(error for event in events for error in event.selinux_errors()).items()),
        ignored=dict(sorted(Counter(kind for event in events for kind in event.ignored()).items())),
        unparsed=len(unparsed),
        unparsed_examples=tuple(record.format().decode() for record in unparsed[:MAX_EXAMPLES]),
    )


@given(logs())
def test_the_summary_is_what_careful_reading_gives(lines: list[bytes]) -> None:
    assert summarise(lines) == carefully(lines)


def test_other_permissions_may_have_the_better_example() -> None:
    lines = [avc(1).replace(b'path="/etc/passwd"', b'name="passwd"'), avc(2, permissions="open")]
    assert summarise(lines).denials[0].path == "/etc/passwd"


def test_a_denial_behind_a_broken_one_is_read() -> None:
    lines = [
        avc(serial, permissions=f"a {{ b }} avc:  denied  {{ {permission}")
        for serial, permission in enumerate(("read", "write"))
    ]
    assert summarise(lines) == carefully(lines)


def test_a_repetition_in_another_mode_is_read() -> None:
    assert summarise([avc(1, permissive=1), avc(2, permissive=0)]).denials[0].permissive is False


def test_records_and_events_are_counted_apart() -> None:
    summary = summarise([avc(1), avc(1), syscall(1), avc(2)])
    assert (summary.records, summary.events) == (3, 2)


def test_the_events_of_a_row_are_named_also_if_they_have_several_denials() -> None:
    lines = [avc(serial, permissions=word) for serial in (1, 2, 3) for word in ("read", "write")]
    (row,) = summarise(lines).denials
    assert (row.count, row.serials) == (6, (1, 2, 3))


def cred(serial: int) -> bytes:
    return b"type=CRED_ACQ msg=audit(1700000000.123:%d): pid=1\n" % serial


def ioctl(serial: int, command: int) -> bytes:
    return avc(serial, permissions="ioctl", extra=f"ioctlcmd={command:#x} ")


SERIALS = range(1, 3 * MAX_EVIDENCE)


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ([line for n in SERIALS for line in (avc(n, comm=b"c%d" % n), syscall(n))], 1),
        ([line for n in SERIALS for line in (avc(n), avc(n, permissions="write"), cred(n))], 1),
        ([avc(n, source=f"u:r:a_t:s0:c{n}", target="u:r:b_t:s0") for n in SERIALS], MAX_EVIDENCE),
        ([avc(n, source=f"u:r:a_t:s0:c{n}", target="u:r:b_t:s0:c99") for n in SERIALS], len(SERIALS)),
        ([ioctl(n, n // 10) for n in SERIALS], 3),
    ],
    ids=["described", "several records", "settled", "separated", "commands"],
)
def test_only_events_that_add_something_to_their_row_are_parsed(
    monkeypatch: pytest.MonkeyPatch, lines: list[bytes], count: int
) -> None:
    parsed = []

    def parse(group: Group) -> Event:
        parsed.append(group)
        return event_of(group)

    monkeypatch.setattr("selab.auditlog.summary.event_of", parse)
    summarise(lines)
    assert len(parsed) == count


def test_examples_of_what_could_not_be_read_are_bounded() -> None:
    summary = summarise([avc(serial)[:100] + b"\n" for serial in range(20)])
    assert (summary.unparsed, len(summary.unparsed_examples)) == (20, MAX_EXAMPLES)


def test_kinds_invented_by_a_log_are_bounded() -> None:
    summary = summarise(
        f"type=X{number:05} msg=audit(1700000000.123:5): a=b\n".encode() for number in range(1000)
    )
    assert (len(summary.ignored) < 300, sum(summary.ignored.values())) == (True, 1000)


def peak(lines: int) -> int:
    with patch("selab.auditlog.duplicates.MAX_TEXTS", 500):
        tracemalloc.start()
        summarise(
            line for serial in range(lines) for line in (avc(serial, comm=b"c%d" % serial), syscall(serial))
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return size


@pytest.mark.growth
def test_memory_does_not_grow_with_the_log() -> None:
    """It is measured in a process of its own, because threads of other tests allocate memory as well."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        large, small = pool.map(peak, [4000, 1000])
    assert large < 1.2 * small


def test_the_rows_of_a_log_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.summary.MAX_ROWS", 3)
    summary = summarise(
        f"type=AVC msg=audit(1.100:{number}): avc:  denied  {{ read }} for  pid=1 "
        f"scontext=u:r:t{number}_t:s0 tcontext=u:r:etc_t:s0 tclass=file permissive=0\n".encode()
        for number in range(1, 11)
    )
    assert (summary.records, len(summary.denials), summary.omitted) == (10, 3, 7)
    assert summary.to_json()["omitted"] == 7


def test_the_distinct_errors_of_a_log_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.summary.MAX_ROWS", 3)
    summary = summarise(
        f"type=SELINUX_ERR msg=audit(1.100:{number}): op=setxattr invalid_context=t{number % 5}\n".encode()
        for number in range(10)
    )
    assert ([count for _, count in summary.selinux_err], summary.omitted) == ([2, 2, 2], 4)


def test_a_long_example_of_what_could_not_be_read_is_cut() -> None:
    (example,) = summarise([b"type=AVC " + b"x" * 1000]).unparsed_examples
    assert example == "type=AVC " + "x" * 391


@pytest.mark.parametrize("first", ["", " ioctlcmd=0x8910"])
def test_each_command_of_an_ioctl_is_in_the_row(first: str) -> None:
    """A record that differs in the command only is no repetition, also of one that names no command."""
    records = [
        f"type=AVC msg=audit(1.100:{number}): avc:  denied  {{ ioctl }} for  pid=9{command} "
        "scontext=u:r:a_t:s0 tcontext=u:r:a_t:s0 tclass=tcp_socket permissive=0".encode()
        for number, command in enumerate([first, " ioctlcmd=0x8910", " ioctlcmd=0x8927", " ioctlcmd=0x8910"])
    ]
    assert summarise(records).denials[0].commands == ("0x8910", "0x8927")


def test_the_commands_of_an_ioctl_are_in_the_row_also_behind_many_repetitions() -> None:
    """Once a row is settled, records that differ only in their levels are no longer parsed."""
    records = [
        avc(
            number,
            permissions="ioctl",
            source=f"u:r:a_t:s0:c{number}",
            target="u:r:b_t:s0",
            extra=f"ioctlcmd={0x8910 + number // (2 * MAX_EVIDENCE):#x} ",
        )
        for number in range(6 * MAX_EVIDENCE)
    ]
    (row,) = summarise(records).denials
    assert (row.commands, row.count) == (("0x8910", "0x8911", "0x8912"), len(records))
