"""Several questions in one round trip: each gets its own answer, and none runs after one that has failed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selab.guest import RUN_TIMEOUT, Completed, Query, query_all
from selab.host.local import LocalHost

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def said(script: str, *arguments: str, data: bytes = b"") -> Query[Completed]:
    return Query(script, lambda done: done, arguments, data)


@given(st.lists(st.lists(WORD, max_size=4), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_each_script_gets_its_own_arguments_unread_by_a_shell(words: list[list[str]]) -> None:
    asks = [said("""for word; do printf '%s\\0' "$word"; done""", *arguments) for arguments in words]
    answers = [done.stdout.decode().split("\0")[:-1] for done in query_all(LocalHost(), *asks)]
    assert answers == words


def test_outputs_and_errors_are_told_apart() -> None:
    answers = query_all(LocalHost(), said("echo one; echo bad >&2"), said("echo two"))
    assert [(done.stdout, done.stderr) for done in answers] == [(b"one\n", b"bad\n"), (b"two\n", b"")]


def test_none_runs_after_one_that_has_failed() -> None:
    answers = list(query_all(LocalHost(), said("echo one"), said("exit 7"), said("echo three")))
    assert [(done.stdout, done.returncode) for done in answers] == [(b"one\n", 0), (b"", 7)]


def test_the_input_goes_to_the_one_that_has_it() -> None:
    answers = query_all(LocalHost(), said("cat"), said("cat", data=b"mine"), said("cat"))
    assert [done.stdout for done in answers] == [b"", b"mine", b""]


class Broken:
    """A guest whose command was ended in the middle of the second script."""

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        token = argv[4]
        return Completed(tuple(argv), 137, f"one\n{token} 0\ntw".encode(), f"{token}\n".encode())

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None: ...
    def get(self, path: str) -> bytes:
        return b""


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_was_ended_in_the_middle_has_the_whole_commands_exit_code(place: int) -> None:
    answers = list(query_all(Broken(), said("echo one"), said("echo two"), said("echo three")))
    assert [done.returncode for done in answers][place] == (0, 137)[place]


def test_a_log_of_what_was_executed_does_not_end_an_answer() -> None:
    argv = """tr '\\0' '\\n' </proc/$$/cmdline | sed 's/.*/type=EXECVE a="&"/'"""
    first, second = query_all(LocalHost(), said(argv), said("echo two"))
    assert b'type=EXECVE a="sh"' in first.stdout
    assert second.stdout == b"two\n"
