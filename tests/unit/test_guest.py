"""Several queries in one round trip: each gets its own answer, and none runs after one that has failed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selab.errors import AnswerTooLong, SelabError
from selab.guest import MAX_END, RUN_TIMEOUT, Completed, Guest, Query, query_all
from selab.host.local import LocalHost

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def query_of(script: str, *arguments: str, data: bytes = b"") -> Query[Completed]:
    return Query(script, lambda done: done, arguments, data)


def failing(error: str) -> Query[Completed]:
    """A query whose script ends well, and whose answer cannot be read."""

    def read(done: Completed) -> Completed:
        raise SelabError(error)

    return Query("true", read)


def results(guest: Guest, *queries: Query[Completed]) -> list[Completed]:
    """What each of the queries that ran printed, in order."""
    named = {f"query{number}": query for number, query in enumerate(queries)}
    answers = query_all(guest, **named)
    return [answers[name] for name in named if name in answers]


@pytest.mark.program
@given(st.lists(st.lists(WORD, max_size=4), min_size=1, max_size=5))
@settings(max_examples=min(25, settings().max_examples), deadline=None)
def test_each_script_gets_its_own_arguments_unread_by_a_shell(words: list[list[str]]) -> None:
    queries = [query_of("""for word; do printf '%s\\0' "$word"; done""", *arguments) for arguments in words]
    printed = [done.stdout.decode().split("\0")[:-1] for done in results(LocalHost(), *queries)]
    assert printed == words


def test_outputs_and_errors_are_told_apart() -> None:
    printed = results(LocalHost(), query_of("echo one; echo bad >&2"), query_of("echo two"))
    assert [(done.stdout, done.stderr) for done in printed] == [(b"one\n", b"bad\n"), (b"two\n", b"")]


def test_none_runs_after_one_that_has_failed() -> None:
    printed = results(LocalHost(), query_of("echo one"), query_of("exit 7"), query_of("echo three"))
    assert [(done.stdout, done.returncode) for done in printed] == [(b"one\n", 0), (b"", 7)]


class Limited(LocalHost):
    """This machine, which records the limits of each command."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, int | None]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        self.seen.append((timeout, limit))
        return super().run(argv, input=input, timeout=timeout, limit=limit)


def test_queries_have_together_the_time_and_the_bytes_that_each_may_take() -> None:
    host = Limited()
    queries = [Query("true", lambda done: done, timeout=seconds, limit=10) for seconds in (1.0, 20.0, 300.0)]
    assert len(results(host, *queries)) == 3
    assert host.seen == [(321.0, 3 * (10 + MAX_END))]


def test_the_input_goes_to_the_one_that_has_it() -> None:
    printed = results(LocalHost(), query_of("cat"), query_of("cat", data=b"mine"), query_of("cat"))
    assert [done.stdout for done in printed] == [b"", b"mine", b""]


def test_an_answer_is_taken_by_name() -> None:
    answers = query_all(LocalHost(), one=query_of("echo one"), two=query_of("echo two"))
    assert (answers["two"].stdout, answers["one"].stdout) == (b"two\n", b"one\n")


def test_the_first_query_that_failed_raises_its_error_in_the_place_of_a_later_one() -> None:
    answers = query_all(LocalHost(), one=failing("first"), two=failing("second"))
    with pytest.raises(SelabError, match="first"):
        answers["two"]


def test_an_answer_before_one_that_cannot_be_read_is_still_there() -> None:
    answers = query_all(LocalHost(), one=query_of("echo one"), two=failing("second"))
    assert answers["one"].stdout == b"one\n"


def test_an_error_does_not_go_away_when_the_answer_is_taken_again() -> None:
    answers = query_all(LocalHost(), one=failing("first"))
    for _ in range(2):
        with pytest.raises(SelabError, match="first"):
            answers["one"]


def test_reading_all_answers_raises_the_error_of_one_that_nothing_takes() -> None:
    answers = query_all(LocalHost(), one=query_of("echo one"), two=failing("second"))
    with pytest.raises(SelabError, match="second"):
        answers.read_all()


def test_the_answer_to_a_query_that_did_not_run_is_an_error_that_names_it() -> None:
    answers = query_all(LocalHost(), one=query_of("exit 7"), two=query_of("echo two"))
    with pytest.raises(SelabError, match="'two' did not run"):
        answers["two"]


class Broken:
    """A guest whose command was ended in the middle of the second script."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        token = argv[4]
        return Completed(tuple(argv), 137, f"one\n{token} 0\ntw".encode(), f"{token}\n".encode())

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        raise AssertionError("a query puts no file")

    def get(self, path: str) -> bytes:
        raise AssertionError("a query gets no file")


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_was_ended_in_the_middle_has_the_whole_commands_exit_code(place: int) -> None:
    printed = results(Broken(), query_of("echo one"), query_of("echo two"), query_of("echo three"))
    assert [done.returncode for done in printed][place] == (0, 137)[place]


def test_a_log_of_what_was_executed_does_not_end_an_answer() -> None:
    argv = """tr '\\0' '\\n' </proc/$$/cmdline | sed 's/.*/type=EXECVE a="&"/'"""
    first, second = results(LocalHost(), query_of(argv), query_of("echo two"))
    assert b'type=EXECVE a="sh"' in first.stdout
    assert second.stdout == b"two\n"


def test_an_answer_that_is_too_long_is_an_error() -> None:
    with pytest.raises(AnswerTooLong, match="too long"):
        Query("echo 12345", lambda done: done, limit=5).of(LocalHost())


def test_an_answer_of_the_limits_size_is_read() -> None:
    assert Query("echo 1234", lambda done: done.text, limit=5).of(LocalHost()) == "1234\n"


@pytest.mark.parametrize("script", ["yes | head -c 100000", "yes | head -c 100000 >&2"], ids=["out", "err"])
def test_a_flood_among_several_queries_is_an_error(script: str) -> None:
    short = Query("echo short", lambda done: done.text, limit=1000)
    flood = Query(script, lambda done: done.text, limit=1000)
    answers = query_all(LocalHost(), before=short, flood=flood, after=short)
    with pytest.raises(AnswerTooLong):
        answers.read_all()
