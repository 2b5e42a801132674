"""Audit records out of the journal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.auditlog.journal import entry_line, raw_from_journal, read_journal

SENT = {
    "_TRANSPORT": "audit",
    "MESSAGE": "AVC avc:  denied",
    "_SOURCE_REALTIME_TIMESTAMP": "1700000000123456",
    "_AUDIT_TYPE_NAME": "AVC",
    "_AUDIT_ID": "11",
}
PRINTED = {"_TRANSPORT": "kernel", "MESSAGE": "audit: type=1400 audit(1700000000.123:11): avc:  denied"}
RAW = b"type=AVC msg=audit(1700000000.123:11): avc:  denied"


def journal(*entries: object) -> bytes:
    return raw_from_journal("\n".join(json.dumps(entry) for entry in entries).encode())


def test_a_record_from_the_audit_socket() -> None:
    assert journal(SENT) == RAW


def test_a_record_that_the_kernel_printed() -> None:
    assert journal(PRINTED) == RAW


def test_a_record_that_is_there_twice_is_taken_once() -> None:
    assert journal(PRINTED, SENT) == RAW


def test_a_message_with_odd_bytes_is_a_list_of_numbers() -> None:
    assert journal(PRINTED | {"MESSAGE": list(PRINTED["MESSAGE"].encode()) + [255]}) == RAW + b"\xff"


@pytest.mark.parametrize(("facility", "taken"), [("0", RAW), ("1", b"")])
def test_what_a_process_wrote_into_the_kernels_log_is_no_record(facility: str, taken: bytes) -> None:
    assert journal(PRINTED | {"SYSLOG_FACILITY": facility}) == taken


def test_what_is_no_record_is_left_out() -> None:
    assert (
        journal([], "x", {}, PRINTED | {"MESSAGE": "usb 1-1: new device"}, PRINTED | {"MESSAGE": None}) == b""
    )


@given(st.binary())
def test_bytes_that_are_no_journal_have_no_record(entries: bytes) -> None:
    assert raw_from_journal(entries) == b""


def test_each_entry_that_may_be_a_record_and_cannot_be_read_is_counted() -> None:
    incomplete = json.dumps({"_TRANSPORT": "audit", "MESSAGE": "AVC avc:  denied"})
    lines = ["{", incomplete, incomplete, "[]", "{}", json.dumps(PRINTED)]
    assert read_journal("\n".join(lines).encode()) == (RAW, 4)


def test_a_record_of_the_socket_has_its_milliseconds_and_one_line() -> None:
    entry = SENT | {"_SOURCE_REALTIME_TIMESTAMP": "1700000000003999", "MESSAGE": "AVC a\nb"}
    assert journal(entry) == b"type=AVC msg=audit(1700000000.003:11): a b"


@pytest.mark.parametrize(("number", "name"), [("1107", "USER_AVC"), ("1999", "UNKNOWN[1999]")])
def test_a_printed_record_has_the_name_of_its_type_and_one_line(number: str, name: str) -> None:
    entry = PRINTED | {"MESSAGE": f"audit: type={number} audit(1700000000.123:11): a\nb"}
    assert journal(entry) == f"type={name} msg=audit(1700000000.123:11): a b".encode()


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (SENT, RAW.decode()),
        ({"_TRANSPORT": "kernel", "MESSAGE": "a\nb"}, "a b"),
        ({"_TRANSPORT": "kernel", "MESSAGE": [97, 255]}, "a\\xff"),
        ({"_TRANSPORT": "kernel", "MESSAGE": [256]}, None),
        ({"_TRANSPORT": "audit", "MESSAGE": "AVC x"}, None),
        ({"MESSAGE": "a"}, None),
        ({"_TRANSPORT": "kernel"}, None),
    ],
)
def test_an_entry_has_a_line_only_if_it_is_complete(entry: dict[str, object], line: str | None) -> None:
    assert entry_line(entry) == line
