"""Audit records in JSON lines."""

from __future__ import annotations

import json
from time import process_time

import pytest

from selab.auditlog.embedded import MAX_FAULTS, texts
from selab.auditlog.records import parse_line

RECORD = 'type=AVC msg=audit(1.100:1): avc:  denied  { read } for  pid=1 comm="x"'
JOURNAL = {"_TRANSPORT": "kernel", "MESSAGE": RECORD}


@pytest.mark.parametrize(
    "document",
    [
        {"log": RECORD + "\n", "stream": "stdout"},
        JOURNAL,
        {"message": RECORD, "event": {"original": [RECORD]}},
        {"event": {"original": [RECORD]}},
    ],
    ids=["docker", "journal", "auditbeat", "nested"],
)
@pytest.mark.parametrize("prefix", ["", "Nov 21 16:22:09 host app[3]: "])
def test_a_record_is_taken_out_once_without_escapes(document: object, prefix: str) -> None:
    ((text, is_read),) = texts(prefix + json.dumps(document)) or []
    assert (text.strip(), is_read) == (RECORD, True)


def test_an_entry_of_the_audit_socket_has_its_serial_number_and_time() -> None:
    entry = {
        "_TRANSPORT": "audit",
        "_AUDIT_TYPE_NAME": "AVC",
        "_AUDIT_ID": "188",
        "_SOURCE_REALTIME_TIMESTAMP": "1644959778536000",
        "MESSAGE": "AVC avc:  denied  { read } for  pid=1",
    }
    (record,) = parse_line(json.dumps(entry).encode())
    assert (record.type, record.serial, record.time) == ("AVC", 188, 1644959778.536)


def test_a_message_of_bytes_is_decoded() -> None:
    assert texts(json.dumps(JOURNAL | {"MESSAGE": list(RECORD.encode())})) == [(RECORD, True)]


def test_objects_on_one_line_are_all_read() -> None:
    document = json.dumps({"log": RECORD})
    assert texts(f"{document} {document}") == [(RECORD, True)] * 2


def test_an_object_without_its_end_could_not_be_read() -> None:
    part, document = json.dumps({"log": RECORD})[:60], json.dumps({"log": RECORD})
    assert texts(part + document) == [(part, False), (RECORD, True)]


@pytest.mark.parametrize("line", ["a line", f'{RECORD} name="{{"', RECORD + json.dumps(JOURNAL)])
def test_a_line_that_begins_as_a_record_is_none_of_these(line: str) -> None:
    assert texts(line) is None


def test_an_object_without_a_record_has_no_text() -> None:
    assert texts('{"level": "info", "count": [1, null]}') == []


def test_the_records_of_an_object_come_in_its_order() -> None:
    other = RECORD.replace("1.100:1", "1.100:2")
    document = {"event": {"original": [RECORD, "x"], "tags": ["a", [other]]}, "log": "any text"}
    assert texts(json.dumps(document)) == [(RECORD, True), (other, True), ("any text", True)]


def test_text_between_objects_is_read_if_it_may_be_a_record() -> None:
    document = json.dumps({"log": RECORD})
    assert texts(f"{document} and {document} avc:") == [(RECORD, True), (RECORD, True), (" avc:", True)]
    assert texts(f"{document} avc: {document}") == [(RECORD, True), (f" avc: {document}", False)]


@pytest.mark.parametrize(("faults", "is_read"), [(MAX_FAULTS - 1, True), (MAX_FAULTS, False)])
def test_a_record_after_too_many_beginnings_without_an_object_is_unread(faults: int, is_read: bool) -> None:
    document = json.dumps({"message": RECORD})
    read = texts('{"a":x' * faults + document)
    assert read == ([(RECORD, True)] if is_read else [('{"a":x' * faults + document, False)])


@pytest.mark.parametrize("hostile", ['{"' * 40000, '{"a":' * 40000, '{"a":"' * 40000, '{"a":1}' * 40000])
def test_a_hostile_line_is_read_in_linear_time(hostile: str) -> None:
    started = process_time()
    texts(hostile)
    assert process_time() - started < 5
