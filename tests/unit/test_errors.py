"""Errors in three lines, with the exit code that they end the program with."""

from __future__ import annotations

import pickle

import pytest

from selab.errors import CommandFailed, InputError, SelabError, Unreachable


@pytest.mark.parametrize(
    ("error", "code"), [(SelabError("no"), 3), (InputError("no"), 2), (Unreachable("no"), 3)]
)
def test_each_error_has_its_exit_code(error: SelabError, code: int) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("parts", "lines"),
    [(("what", "detail", "hint"), 3), (("what", "", "hint"), 2), (("what",), 1)],
)
def test_an_error_has_a_line_for_each_part(parts: tuple[str, ...], lines: int) -> None:
    assert len(str(SelabError(*parts)).splitlines()) == lines


@pytest.mark.parametrize(
    ("output", "last"), [("first\nlast\n\n", "last"), ("", "no output"), (" \n", "no output")]
)
def test_a_failed_command_shows_its_last_line(output: str, last: str) -> None:
    assert CommandFailed("It failed.", ["a b", "c"], 7, output).detail == f"`'a b' c` ended with 7: {last}"


def test_a_failed_command_comes_whole_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(CommandFailed("It failed.", ["x"], 7, "why", "hint")))
    assert (error.returncode, error.argv, error.output, error.hint) == (7, ("x",), "why", "hint")
