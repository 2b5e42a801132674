"""A record that a log has from the kernel and from the audit socket is one record."""

from __future__ import annotations

import pytest

from selab.auditlog.duplicates import MAX_SAME, MAX_TEXTS, Duplicates
from selab.auditlog.events import read_events
from selab.auditlog.records import Record
from selab.auditlog.summary import summarise
from tests.unit.auditlog.records import avc

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


def test_the_records_that_are_remembered_are_limited() -> None:
    duplicates = Duplicates()
    for number in range(MAX_TEXTS * 2):
        for _ in range(MAX_SAME * 2):
            assert not duplicates.has(Record("AVC", None, "", f"avc: {number}", source="journal"), "")
    sizes = [len(occurrences) for occurrences in duplicates._seen.values()]
    assert (len(sizes), max(sizes)) == (MAX_TEXTS, MAX_SAME)
