"""Which lines of a log belong to one event, and when an event ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from selab.auditlog.lines import MAX_OPEN, Group, assemble
from selab.auditlog.records import Record
from tests.unit.auditlog.records import avc, path, syscall

KERNEL = b"audit: type=1400 audit(1700000000.123:%d): avc:  denied  { read } for  pid=1 tclass=file\n"


def eoe(serial: int) -> bytes:
    return b"type=EOE msg=audit(1700000000.123:%d): \n" % serial


def kinds(groups: Sequence[Group]) -> list[list[str]]:
    return [
        [entry.type if isinstance(entry, Record) else entry[0].decode() for entry in group]
        for group in groups
    ]


def test_records_of_a_serial_number_are_one_event_also_if_others_come_between() -> None:
    groups = list(assemble([avc(1), avc(2), syscall(1), eoe(1), syscall(2), eoe(2)]))
    assert kinds(groups) == [["AVC", "SYSCALL", "EOE"], ["AVC", "SYSCALL", "EOE"]]


def test_a_serial_number_of_another_time_is_another_event() -> None:
    assert kinds(list(assemble([avc(1), syscall(1, time=1700000009.0)]))) == [["AVC"], ["SYSCALL"]]


def test_an_event_is_there_as_soon_as_it_has_ended() -> None:
    lines = iter([avc(1), eoe(1), avc(2)])
    assert kinds([next(assemble(lines))]) == [["AVC", "EOE"]]
    assert next(lines) == avc(2)


def test_a_log_without_ends_keeps_a_bounded_number_of_events_and_loses_none() -> None:
    groups = list(assemble([avc(serial) for serial in range(1, 2 * MAX_OPEN)]))
    assert len(groups) == 2 * MAX_OPEN - 1
    late = list(assemble([*(avc(serial) for serial in range(1, MAX_OPEN + 2)), syscall(1)]))
    assert kinds(late[-1:]) == [["SYSCALL"]] and len(late) == MAX_OPEN + 2


def test_a_raw_line_keeps_its_type_serial_and_text() -> None:
    ((kind, serial, line, offset),) = next(assemble([path(7)]))  # type: ignore[misc]
    assert (kind, serial, line) == (b"PATH", b"7", path(7))
    assert line[offset:].startswith(b"item=0 ")


USER_AVC = (
    b"type=USER_AVC msg=audit(1700000000.123:1): pid=1 uid=0 msg='avc:  denied  { send_msg } for  "
    b'scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=dbus exe="/usr/bin/dbus"\''
)
SECOND = b"avc:  denied  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file"


@pytest.mark.parametrize(("end", "raw"), [(b"", True), (b" " + SECOND, False)])
def test_a_line_of_an_object_manager_stays_raw_if_its_only_decision_is_in_the_message(
    end: bytes, raw: bool
) -> None:
    groups = list(assemble([USER_AVC + end + b"\n"]))
    assert [isinstance(group[0], tuple) for group in groups] == ([True] if raw else [False, False])


def test_a_description_behind_a_denial_on_a_raw_line_is_a_record_of_its_own() -> None:
    assert kinds(list(assemble([avc(1).rstrip() + b" " + syscall(1)]))) == [["AVC", "SYSCALL"]]


def test_an_event_of_another_form_is_there_as_soon_as_it_has_ended() -> None:
    lines = iter([b"node=a " + line for line in (avc(1), avc(2), eoe(1), avc(3))])
    assert kinds([next(assemble(lines))]) == [["AVC", "EOE"]]
    assert next(lines).endswith(avc(3))


def test_a_log_of_another_form_without_ends_keeps_a_bounded_number_of_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("selab.auditlog.lines.MAX_OPEN", 4)
    lines = iter([KERNEL % serial for serial in range(9)])
    groups = assemble(lines)
    assert [next(groups)[0].serial for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    assert next(lines) == KERNEL % 5


def test_lines_of_another_form_are_grouped_as_well() -> None:
    groups = list(assemble([KERNEL % 5, KERNEL % 6, KERNEL % 5]))
    assert sorted(len(group) for group in groups) == [1, 2]


@pytest.mark.parametrize(("end", "partial"), [(b"", True), (b"\n", False)])
def test_the_last_line_is_partial_if_it_was_still_being_written(end: bytes, partial: bool) -> None:
    *_, group = assemble([avc(1), avc(2).rstrip(b"\n") + end])
    records = [entry.partial for entry in group if isinstance(entry, Record)]
    assert any(records) is partial


def test_lines_without_any_line_end_are_whole() -> None:
    groups = list(assemble([avc(1).rstrip(b"\n"), avc(2).rstrip(b"\n")]))
    assert not any(isinstance(entry, Record) for group in groups for entry in group)


def test_a_line_that_is_no_record_is_an_event_by_itself() -> None:
    assert [len(group) for group in assemble([b"noise\n", b"noise\n"])] == [1, 1]
