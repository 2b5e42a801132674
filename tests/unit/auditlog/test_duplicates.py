"""A record that a log has from the kernel and from the audit socket is one record."""

from __future__ import annotations

import json

import pytest

from selab.auditlog.duplicates import MAX_SAME, MAX_TEXTS, Duplicates
from selab.auditlog.events import read_events
from selab.auditlog.records import Record, parse_line
from selab.auditlog.summary import summarise
from tests.unit.auditlog.records import avc, syscall

KERNEL = "host kernel: audit: type=1400 audit({time:.3f}:{serial}): "
JOURNAL = "host audit[42]: AVC "


def counts(*lines: bytes) -> tuple[int, int]:
    summary = summarise(lines)
    return summary.records, summary.events


def kernel(serial: int = 1) -> bytes:
    return avc(serial, head=KERNEL)


def journal(comm: bytes = b"httpd") -> bytes:
    return avc(head=JOURNAL, comm=comm)


@pytest.mark.parametrize("lines", [(kernel(), journal()), (journal(), kernel())])
def test_the_second_entry_of_a_record_is_not_counted(lines: tuple[bytes, bytes]) -> None:
    assert counts(*lines) == (1, 1)


FORMS = {
    "log": lambda serial: avc(serial),
    "kernel": lambda serial: kernel(serial),
    "journal": lambda serial: journal(),
    "syslog": lambda serial: b"Nov 26 host audispd: " + avc(serial),
    "json": lambda serial: entry(serial),
}


def entry(serial: int) -> bytes:
    """An entry of `journalctl -o json` that came from the audit socket."""
    record = parse_line(avc(serial))[0]
    return (
        json.dumps(
            {
                "_TRANSPORT": "audit",
                "MESSAGE": f"AVC {record.text}",
                "_AUDIT_TYPE_NAME": "AVC",
                "_AUDIT_ID": str(serial),
                "_SOURCE_REALTIME_TIMESTAMP": f"{record.stamp.replace('.', '')}000",
            }
        ).encode()
        + b"\n"
    )


@pytest.mark.parametrize("first", ["kernel", "journal", "json", "syslog"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("log_comes_first", [False, True])
def test_a_line_of_audit_log_and_the_same_record_in_another_form_are_one_event(
    first: str, apart: bool, log_comes_first: bool
) -> None:
    forms = [FORMS["log"], FORMS[first]] if log_comes_first else [FORMS[first], FORMS["log"]]
    serials = (1, 2, 3)
    lines = (
        [form(serial) for form in forms for serial in serials]
        if apart
        else [form(serial) for serial in serials for form in forms]
    )
    assert counts(*lines) == (3, 3)


def test_a_record_of_audit_log_that_came_earlier_is_still_known() -> None:
    log = [avc(serial, comm=b"c%d" % serial) for serial in range(MAX_TEXTS // 2)]
    assert counts(*log, avc(5, comm=b"c5", head=KERNEL)) == (len(log), len(log))


def test_a_record_behind_one_that_the_log_has_already_stays() -> None:
    assert counts(kernel(1), journal().rstrip() + b" " + avc(2)) == (2, 2)


def test_the_records_that_describe_a_denial_stay_in_its_event() -> None:
    lines = [kernel(1), avc(1), syscall(1)]
    (event,) = read_events(lines)
    assert [record.type for record in event.records] == ["AVC", "SYSCALL"]


def test_blanks_do_not_distinguish_two_entries() -> None:
    assert counts(kernel(), journal().replace(b"  ", b" ")) == (1, 1)


@pytest.mark.parametrize(
    ("lines", "records"),
    [
        ((kernel(1), journal(), kernel(2), journal()), 2),
        ((kernel(1), kernel(2), journal(), journal()), 2),
        ((kernel(1), journal(), journal()), 2),
        ((kernel(1), journal(b"other")), 2),
        ((journal(), journal()), 2),
        ((kernel(1), kernel(2)), 2),
    ],
)
def test_each_record_is_counted_as_often_as_one_source_has_it(lines: tuple[bytes, ...], records: int) -> None:
    assert counts(*lines) == (records, records)


def test_a_record_of_another_event_stays() -> None:
    assert counts(kernel(1), b"x " + avc(2)) == (2, 2)


def test_the_entry_with_a_serial_number_keeps_its_event() -> None:
    assert [event.serial for event in read_events([kernel(7), journal()])] == [7]


def test_the_records_that_are_remembered_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.duplicates.MAX_TEXTS", 64)
    duplicates = Duplicates()
    for number in range(64 * 2):
        for _ in range(MAX_SAME * 2):
            assert not duplicates.has(Record("AVC", None, "", f"avc: {number}", source="journal"), "")
    sizes = [len(occurrences) for occurrences in duplicates._seen.values()]
    assert (len(sizes), max(sizes)) == (64, MAX_SAME)
