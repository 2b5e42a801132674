"""Records: every form of a line, hex fields, cut lines, any bytes."""

from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.auditlog.records import Record, parse_line
from tests.unit.auditlog.records import avc, avc_lines, chosen

BODY = (
    "avc:  denied  { read } for  pid=42 comm=x scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file "
    "permissive=0"
)


def record_of(line: bytes | str) -> Record:
    (record,) = parse_line(line if isinstance(line, bytes) else line.encode())
    return record


def test_a_raw_record_has_its_type_serial_and_time() -> None:
    record = record_of(f"type=AVC msg=audit(1700000000.123:456): {BODY}")
    assert (record.type, record.serial, record.time) == ("AVC", 456, 1700000000.123)


@pytest.mark.parametrize(
    "line",
    [
        "type=1400 audit(1700000000.123:456): {}",
        "[   12.345678] audit: type=1400 audit(1700000000.123:456): {}",
        "<5>[   12.345678] type=1400 audit(1700000000.123:456): {}",
        "Nov 21 16:22:09 host kernel: audit: type=1400 audit(1700000000.123:456): {}",
        "Nov 21 16:22:09 host audispd: node=web1 type=AVC msg=audit(1700000000.123:456): {}",
        "/var/log/audit/audit.log:type=AVC msg=audit(1700000000.123:456): {}",
        "audit(1700000000.123:456): {}",
        "type=UNKNOWN[1400] msg=audit(1700000000.123:456): {}",
    ],
)
def test_every_headed_form_is_the_same_record(line: str) -> None:
    record = record_of(line.format(BODY))
    assert (record.type, record.serial, record.time, record.text) == ("AVC", 456, 1700000000.123, BODY)


@pytest.mark.parametrize(
    "line",
    [
        "audit: AVC {}",
        "Nov 21 16:22:09 host audit[704]: AVC {}",
        "AVC {}",
        "host kernel: {}",
        "{}",
        "audit(N): {}",
    ],
)
def test_a_form_without_a_stamp_has_neither_time_nor_serial(line: str) -> None:
    record = record_of(line.format(BODY))
    assert (record.type, record.serial, record.time, record.text) == ("AVC", None, None, BODY)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("type=AVC msg=audit(1.100:1): {}", "log"),
        ("type=AVC audit(1.100:1): {}", "kernel"),
        ("host kernel: audit: type=1400 audit(1.100:1): {}", "kernel"),
        ("host audispd: type=AVC msg=audit(1.100:1): {}", "syslog"),
        ('{{"log": "type=AVC msg=audit(1.100:1): {}"}}', "json"),
        ('{{"log": "type=AVC audit(1.100:1): {}"}}', "kernel"),
        ("host audit[7]: AVC {}", "journal"),
        ("AVC {}", "journal"),
        ("host kernel: {}", "bare"),
        ("avc: {}", "bare"),
    ],
)
def test_a_record_has_the_way_by_which_it_came_into_the_log(line: str, source: str) -> None:
    assert parse_line(line.format(BODY).encode())[-1].source == source


@pytest.mark.parametrize("line", ["systemd[1]: selinux: {}", "Jan 19 13:59:21 x2 dbus-daemon[3458]: {}"])
def test_an_object_managers_own_log_line_is_userspace(line: str) -> None:
    assert record_of(line.format(BODY)).type == "USER_AVC"


@pytest.mark.parametrize(
    "date",
    [
        "11/23/2026 22:01:02.123",
        "23/11/26 22:01:02.123",
        "2026-11-23 22:01:02.123",
        "23.11.2026 22:01:02.123",
    ],
)
def test_an_interpreted_date_gives_the_serial_but_no_time(date: str) -> None:
    record = record_of(f"type=AVC msg=audit({date}:456) : {BODY}")
    assert (record.serial, record.time) == (456, None)


def test_androids_zero_stamp_is_no_time() -> None:
    assert record_of(f"type=1400 audit(0.0:1697): {BODY}").time is None


def test_a_number_without_a_known_name_is_kept() -> None:
    assert record_of("type=1999 audit(1700000000.123:456): a=b").type == "UNKNOWN[1999]"


@pytest.mark.parametrize("line", [b"", b"\n", b"----\n", b"time->Thu Dec 28 19:24:11 2023\n"])
def test_separators_are_no_records(line: bytes) -> None:
    assert parse_line(line) == ()


def test_a_foreign_line_is_kept_without_a_type() -> None:
    assert record_of("Nov 21 host systemd[1]: Started it.") == Record(
        "", None, "", "Nov 21 host systemd[1]: Started it."
    )


def test_enriched_names_are_fields_of_their_own() -> None:
    record = record_of(
        "type=USER_LOGIN msg=audit(1700000000.123:4): uid=0 msg='op=login res=success'\x1dUID=\"root\""
    )
    assert (record.fields["uid"], record.fields["res"], record.fields["UID"]) == ("0", "success", "root")


def test_trap_16_fields_are_hex_when_they_hold_odd_bytes() -> None:
    record = record_of(avc(comm=b"rs:main Q:Reg", path=b'/tmp/"x"\x1b[31m'))
    assert (record.fields["comm"], record.fields["path"]) == ("rs:main Q:Reg", '/tmp/"x"\x1b[31m')


@given(chosen)
def test_what_a_process_chose_is_read_back(value: bytes) -> None:
    assert record_of(avc(comm=value)).fields["comm"] == value.decode("utf-8", "backslashreplace")


def test_trap_16_fields_may_be_unquoted() -> None:
    assert (
        record_of("type=AVC msg=audit(1.1:1): avc: denied { read } for comm=cat dev=dm-0 tclass=file").fields[
            "comm"
        ]
        == "cat"
    )


def test_interpreted_values_may_hold_blanks() -> None:
    record = record_of(
        "type=SYSCALL msg=audit(11/23/2026 22:01:02.123:456) : ses=5 comm=Socket Thread exe=/usr/bin/x "
        "key=(null) "
    )
    assert (record.fields["comm"], record.fields["exe"]) == ("Socket Thread", "/usr/bin/x")


def test_interpreted_values_are_not_decoded_again() -> None:
    record = record_of("type=SYSCALL msg=audit(11/23/2026 22:01:02.123:456) : comm=DEAD exe=/usr/bin/x")
    assert record.fields["comm"] == "DEAD"


def test_numbers_that_look_like_hex_stay() -> None:
    assert record_of("type=SYSCALL msg=audit(1.1:1): syscall=59 a0=4142 pid=31").fields["a0"] == "4142"


def test_arguments_of_execve_are_decoded() -> None:
    assert record_of('type=EXECVE msg=audit(1.1:1): argc=2 a0="sh" a1=612062').fields["a1"] == "a b"


def test_a_proctitles_arguments_are_blanks_apart() -> None:
    assert (
        record_of("type=PROCTITLE msg=audit(1.1:1): proctitle=7368002D63006C73").fields["proctitle"]
        == "sh -c ls"
    )


def test_an_abstract_sockets_path_begins_with_an_at() -> None:
    assert (
        record_of(
            "type=AVC msg=audit(1.1:1): avc: denied { connectto } for path=002F746D702F78 tclass=x"
        ).fields["path"]
        == "@/tmp/x"
    )


def test_trap_16_records_may_be_joined_on_a_line() -> None:
    line = (
        f"type=AVC msg=audit(1.1:1): {BODY} type=SYSCALL msg=audit(1.1:1): comm=x type=AVC "
        f"msg=audit(1.1:2): {BODY}"
    )
    assert [(record.type, record.serial) for record in parse_line(line.encode())] == [
        ("AVC", 1),
        ("SYSCALL", 1),
        ("AVC", 2),
    ]


def test_a_command_line_in_a_message_is_not_taken_for_a_record() -> None:
    forged = "x type=AVC msg=audit(1.1:9): avc:  denied  { read } for"
    line = (
        f"type=USER_AVC msg=audit(1.1:1): pid=1 msg='avc:  denied  {{ start }} for "
        f'cmdline="{forged}" {BODY[31:]} exe="/s"\''
    )
    assert [record.serial for record in parse_line(line.encode())] == [1]


def test_a_files_name_is_not_taken_for_a_record() -> None:
    assert [record.serial for record in parse_line(avc(3, path=b"/tmp/audit(1.1:9):x"))] == [3]


def test_a_cut_message_does_not_hide_the_next_record() -> None:
    line = f"type=USER_AVC msg=audit(1.1:1): msg='avc:  denied  {{ st type=AVC msg=audit(1.1:2): {BODY}"
    assert [record.serial for record in parse_line(line.encode())] == [1, 2]


def test_a_cut_message_does_not_hide_the_next_message() -> None:
    line = (
        "type=USER_AVC msg=audit(1.1:1): msg='avc:  den type=USER_AUTH msg=audit(1.1:2): pid=1 "
        "msg='op=x res=success'"
    )
    assert [record.serial for record in parse_line(line.encode())] == [1, 2]


def test_a_record_behind_a_files_name_keeps_its_type() -> None:
    assert record_of("/var/log/audit/audit.log:type=SYSCALL msg=audit(1.1:1): comm=x").type == "SYSCALL"


def test_trap_16_a_cut_denial_is_kept_and_marked() -> None:
    record = record_of(
        b'type=AVC msg=audit(1.1:1): avc:  denied  { read } for  pid=1 comm="x" scontext=u:r:a_t:s0 '
        b"tcontext=u:r:b"
    )
    assert record.partial


@pytest.mark.parametrize("rest", ["ocket permissive=0", "audit(1700000000.1", "type=AVC msg"])
def test_what_is_left_of_a_wrapped_record_is_marked(rest: str) -> None:
    assert record_of(rest) == Record("", None, "", rest, partial=True)


@pytest.mark.parametrize("rest", ["tcontext=u:r:b_t:s0 tclass=file", "avc:  den", "audit(1700000000.1", "x"])
def test_what_is_left_of_a_record_before_another_one_is_marked(rest: str) -> None:
    records = parse_line(f"{rest} type=AVC msg=audit(1.1:1): {BODY}".encode())
    expected = [] if rest == "x" else [Record("", None, "", rest, partial=True)]
    assert [*records] == [*expected, Record("AVC", 1, "1.1", BODY)]


MESSAGE = f"pid=1 msg='{BODY} exe=\"/s\"'"


@pytest.mark.parametrize(
    ("first", "partial"),
    [
        (f"type=USER_AVC msg=audit(1.1:1): {MESSAGE}", False),
        (f"type=USER_AVC msg=audit(1.1:1): {MESSAGE[:-1]}", True),
        ("type=USER_AVC msg=audit(1.1:1): pid=1 uid='0'", True),
        (f"type=AVC msg=audit(1.1:1): {BODY}", False),
        (f"type=AVC msg=audit(1.1:1): {BODY} trawcon=x", True),
        (f"type=AVC msg=audit(1.1:1): {BODY[:-13]}", True),
        ("type=SELINUX_ERR msg=audit(1.1:1): op=setxattr invalid_context=x", True),
        ("type=SYSCALL msg=audit(1.1:1): pid=1", False),
    ],
)
def test_a_record_before_another_one_is_whole_only_if_it_shows_its_end(first: str, partial: bool) -> None:
    record, _ = parse_line(f"{first} type=USER_AVC msg=audit(1.1:2): {MESSAGE}".encode())
    assert (record.serial, record.partial) == (1, partial)


@pytest.mark.parametrize("command", ['cmdline="', 'cmdline="a" cmdline="'])
def test_a_record_behind_a_command_line_that_was_cut_may_be_part_of_it(command: str) -> None:
    line = (
        f"type=USER_AVC msg=audit(1.1:1): msg='avc:  denied  {{ start }} for {command}x "
        f"type=AVC msg=audit(1.1:9): {BODY}"
    )
    assert parse_line(line.encode()) == (Record("", None, "", line, partial=True),)


def test_a_record_behind_a_whole_command_line_is_read() -> None:
    line = f'type=USER_AVC msg=audit(1.1:1): msg=\'avc: cmdline="x" type=AVC msg=audit(1.1:9): {BODY}'
    assert [record.serial for record in parse_line(line.encode())] == [1, 9]


def test_a_command_line_in_the_second_message_is_not_taken_for_a_record() -> None:
    forged = MESSAGE.replace("avc: ", 'avc:  denied  { start } for cmdline="type=AVC msg=audit(1.1:9): "', 1)
    line = f"type=USER_AVC msg=audit(1.1:1): {MESSAGE} type=USER_AVC msg=audit(1.1:2): {forged}"
    assert [record.serial for record in parse_line(line.encode())] == [1, 2]


def test_a_null_byte_is_a_blank() -> None:
    text = "type=USER msg=audit(1.1:1): a=b\0c=d"
    assert [record_of(form).text for form in (text, json.dumps({"log": text}))] == ["a=b c=d"] * 2


def test_bytes_that_are_not_utf8_show_as_escapes() -> None:
    assert record_of(b"type=USER msg=audit(1.1:1): a=\xff").text == "a=\\xff"


@given(st.binary(max_size=200))
def test_any_bytes_parse(line: bytes) -> None:
    for record in parse_line(line):
        assert record.fields is not None


@given(
    st.lists(
        st.sampled_from(
            [
                b"type=AVC msg=audit(",
                b"1.1:1",
                b"): ",
                b"avc:  denied  { ",
                b"read } for ",
                b"scontext=",
                b"msg='",
                b"'",
                b"comm=4",
                b"1",
                b" ",
                b"\x1d",
                b"node=",
                b"\xc3",
                b"\n",
                b'"',
                b" : ",
                b"tclass=",
                b"u:r:t",
                b"audit: ",
                b"SELINUX_ERR op=",
            ]
        ),
        max_size=24,
    )
)
def test_any_pieces_of_records_parse(pieces: list[bytes]) -> None:
    times = [record.time for record in parse_line(b"".join(pieces)) if record.time is not None]
    assert [time for time in times if time <= 0] == []


def test_a_text_that_is_not_unicode_is_formatted_with_escapes() -> None:
    (record,) = parse_line(b'{"log": "type=USER msg=audit(1.1:1): a=\\ud800"}')
    assert record.format() == b"type=USER msg=audit(1.1:1): a=\\ud800"


@given(avc_lines())
def test_a_formatted_record_parses_to_itself(line: bytes) -> None:
    record = record_of(line)
    assert parse_line(record.format()) == (record,)


@pytest.mark.growth
@pytest.mark.parametrize(
    "hostile",
    [
        b"node=" * 40000,
        b"a" * 200000,
        b"avc: denied " * 20000,
        b'a="b ' * 40000,
        b"type=AVC msg=audit(" * 20000,
        b" " * 200000 + b"avc:",
        b"scontext=" * 30000,
    ],
)
def test_a_hostile_line_is_read_in_linear_time(hostile: bytes) -> None:
    started = process_time()
    for record in parse_line(hostile):
        assert record.fields is not None
    assert process_time() - started < 5
