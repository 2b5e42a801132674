"""The tables of record types and fields."""

from __future__ import annotations

from selab.auditlog.names import DESCRIBING_TYPES, DETAIL_FIELDS, ENCODED_FIELDS, type_names
from selab.auditlog.selinux_error import ERROR_TYPES


def test_numbers_have_the_kernels_names() -> None:
    names = type_names()
    assert (names["1400"], names["1107"], names["1401"], names["1300"]) == (
        "AVC",
        "USER_AVC",
        "SELINUX_ERR",
        "SYSCALL",
    )


def test_no_denial_and_no_error_is_taken_for_a_description() -> None:
    """A record of such a type is ignored without a trace."""
    assert {"SYSCALL", "PATH", "CWD", "PROCTITLE", "EOE"} <= DESCRIBING_TYPES
    assert not DESCRIBING_TYPES & (ERROR_TYPES | {"AVC", "USER_AVC"})


def test_what_a_process_chooses_is_encoded_and_a_number_is_not() -> None:
    assert {"comm", "exe", "name", "path", "proctitle"} <= ENCODED_FIELDS
    assert not ENCODED_FIELDS & {"pid", "ino", "inode", "capability", "src", "dest", "scontext", "tcontext"}


def test_the_port_and_the_capability_are_details_of_a_denial() -> None:
    assert {"src", "dest", "capability"} <= DETAIL_FIELDS
    assert not DETAIL_FIELDS & {"pid", "comm", "path", "ino"}
