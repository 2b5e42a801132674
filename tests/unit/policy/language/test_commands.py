"""Sets of ioctl commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.cil import statements
from selab.policy.language.commands import (
    EVERY_COMMAND,
    command_range,
    commands_in,
    in_cil,
    in_te,
    includes,
)

COMMANDS = st.sets(st.integers(0, 0xFFFF), max_size=40)


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("(0x1 2 010)", {1, 2, 8}),
        ("((range 0x1 0x3))", {1, 2, 3}),
        ("(range 0x1 0x3)", {1, 2, 3}),
        ("(or (0x1) (range 2 3))", {1, 2, 3}),
        ("(and (range 0x1 0x3) (not (0x2)))", {1, 3}),
        ("(xor (range 0x1 0x3) (range 0x2 0x4))", {1, 4}),
        ("(and (all) (0x7))", {7}),
    ],
)
def test_an_expression_is_evaluated(expression: str, numbers: set[int]) -> None:
    assert commands_in(statements(expression)[0]) == sum(1 << number for number in numbers)


def test_a_range_that_exceeds_the_commands_ends_with_the_last() -> None:
    assert command_range(0, 1 << 40) == EVERY_COMMAND


@given(COMMANDS)
def test_a_set_is_read_as_it_was_written(numbers: set[int]) -> None:
    commands = sum(1 << number for number in numbers)
    assert commands_in(statements(in_cil(commands))[0]) == commands


@given(COMMANDS, st.integers(0, 0xFFFF))
def test_a_set_includes_its_commands_only(numbers: set[int], number: int) -> None:
    assert includes(sum(1 << each for each in numbers), number) is (number in numbers)


def test_a_set_is_written_in_ranges() -> None:
    assert in_te(command_range(3, 9) | 1 << 0x8910) == "{ 0x3-0x9 0x8910 }"


def test_one_command_needs_no_braces() -> None:
    assert in_te(1 << 0x8910) == "0x8910"
