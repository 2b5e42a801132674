"""The fields of a record: quoted, in hex, bare, and as `ausearch -i` writes them."""

from __future__ import annotations

import pytest

from selab.auditlog.fields import parse_fields


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("comm", '"a b=c"', "a b=c"),
        ("comm", "612062", "a b"),
        ("comm", "612", "612"),
        ("comm", "61206x", "61206x"),
        ("comm", "6a", "6a"),
        ("pid", "6162", "6162"),
        ("proctitle", "6C73002D6C00", "ls -l"),
        ("proctitle", "6C73580000", "lsX"),
        ("path", "002F746D702F78", "@/tmp/x"),
        ("path", "002F746D702F780000", "@/tmp/x"),
        ("path", "0000", "@"),
        ("comm", "00", "\0"),
        ("comm", '"', '"'),
        ("comm", '""', ""),
        ("path", "2FFF", "/\\xff"),
    ],
)
def test_a_value_is_decoded_only_if_the_kernel_encodes_that_field(name: str, value: str, text: str) -> None:
    """The kernel writes upper-case hex, and always two digits for a byte."""
    assert parse_fields(f"x=1 {name}={value}")[name] == text


@pytest.mark.parametrize(("record_type", "value"), [("EXECVE", "a b"), ("SYSCALL", "612062")])
def test_an_argument_is_encoded_only_in_a_record_of_a_program_start(record_type: str, value: str) -> None:
    assert parse_fields("a0=612062", record_type) == {"a0": value}


def test_the_first_field_of_a_name_applies() -> None:
    """A process cannot replace its name with what it writes behind it."""
    for interpreted in (False, True):
        assert parse_fields('comm="real" comm="false"', interpreted=interpreted)["comm"] == "real"


def test_a_name_inside_quotes_is_no_field() -> None:
    assert parse_fields('comm="x scontext=a" pid=1') == {"comm": "x scontext=a", "pid": "1"}


def test_fields_in_the_message_of_a_program_are_read() -> None:
    assert parse_fields("pid=1 msg='op=login acct=\"root\"'") == {"pid": "1", "op": "login", "acct": "root"}


def test_an_interpreted_value_ends_before_the_next_name() -> None:
    fields = parse_fields('proctitle=ls -l /a b name=612062 comm="x y"', interpreted=True)
    assert fields == {"proctitle": "ls -l /a b", "name": "612062", "comm": "x y"}


@pytest.mark.parametrize(
    ("value", "text"), [('"', '"'), ('""', ""), ("\"a'", '"a'), ("'a b'", "a b"), ("", ""), ("a\x1d", "a")]
)
def test_quotes_around_an_interpreted_value_are_no_part_of_it(value: str, text: str) -> None:
    assert parse_fields(f"name={value}", interpreted=True) == {"name": text}
