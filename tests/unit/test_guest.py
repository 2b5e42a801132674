"""Several queries in one round trip: each gets its own answer, and none runs after one that has failed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selab.errors import AnswerTooLong, CommandFailed, SelabError
from selab.guest import (
    IN_THE_LOG,
    MAX_DIGITS,
    MAX_END,
    RUN_TIMEOUT,
    Completed,
    Guest,
    Malformed,
    Query,
    complete_line,
    contexts_in,
    number,
    one_of,
    query_all,
    script,
    script_argv,
    whole_seconds,
)
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
    with pytest.raises(SelabError) as raised:
        answers["two"]
    assert (raised.value.what, raised.value.detail, raised.value.hint) == (
        "The guest did not answer everything.",
        "The query 'two' did not run, because a query before it failed.",
        "Run `selab doctor`.",
    )


class Answering:
    """A guest that answers with texts in which TOKEN stands for the token of the queries."""

    def __init__(self, out: str, err: str = "", code: int = 0, truncated: bool = False) -> None:
        self.out, self.err, self.code, self.truncated = out, err, code, truncated

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        out, err = (text.replace("TOKEN", argv[4]).encode() for text in (self.out, self.err))
        return Completed(tuple(argv), self.code, out, err, self.truncated)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        raise AssertionError("a query puts no file")

    def get(self, path: str) -> bytes:
        raise AssertionError("a query gets no file")

    def close(self) -> None:
        raise AssertionError("a query closes no guest")


THREE = (query_of("echo one"), query_of("echo two"), query_of("echo three"))


@pytest.mark.parametrize(("code", "truncated", "status"), [(137, False, 137), (137, True, 137), (0, True, 1)])
def test_one_that_was_ended_in_the_middle_has_the_whole_commands_exit_code(
    code: int, truncated: bool, status: int
) -> None:
    guest = Answering("one\nTOKEN 0\ntw", "bad\nTOKEN\nworse", code, truncated)
    unread = query_all(guest, one=THREE[0], two=THREE[1], three=THREE[2])._unread
    assert [(done.returncode, done.stdout, done.stderr, done.truncated) for _, done in unread.values()] == [
        (0, b"one\n", b"bad\n", truncated),
        (status, b"tw", b"worse", truncated),
    ]


@pytest.mark.parametrize("end", ["", "TOKEN\n"])
def test_the_errors_that_a_guest_did_not_send_are_empty(end: str) -> None:
    guest = Answering("one\nTOKEN 0\ntwo\nTOKEN 255\n", f"bad\n{end}")
    assert [done.stderr for done in results(guest, *THREE)] == [b"bad\n", b""]


NOT_SENT = "it has an answer to a query that was not sent or could not run"
LACKS = "it lacks answers, although no query failed"


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("one\nTOKEN 0\ntwo\nTOKEN 0\n" + "TOKEN 0\n" * 2, NOT_SENT),
        ("one\nTOKEN 1\ntwo\nTOKEN 0\n", NOT_SENT),
        ("one\nTOKEN 0\nTOKEN 256\n", "it has an exit code that no process can have"),
        ("one\nTOKEN 0\ntwo\nTOKEN 0\n", LACKS),
        ("one\nTOKEN 0\ntw", LACKS),
        ("TOKEN 1000\n", LACKS),
    ],
)
def test_answers_that_cannot_be_are_an_error_with_what_the_guest_reported(out: str, reason: str) -> None:
    with pytest.raises(SelabError) as raised:
        results(Answering(out), *THREE)
    error = raised.value
    assert error.what == "The guest's answer makes no sense."
    assert error.detail.startswith(f"{reason}; it reported b'") and len(error.detail) < 170
    assert error.hint == (
        "Run `selab doctor`. If the guest may be damaged, create it again: `selab vm destroy`."
    )


@pytest.mark.parametrize("truncated", [True, False])
def test_a_truncated_answer_is_an_error(truncated: bool) -> None:
    done = Completed((), 0, b"1", b"", truncated)
    query = Query("", lambda done: done.text, limit=5)
    with pytest.raises(AnswerTooLong) if truncated else contextlib.nullcontext():
        assert query.value(done) == "1"


def test_an_answer_that_makes_no_sense_to_its_reader_is_an_error_with_its_beginning() -> None:
    query = Query("", lambda done: number(done.text.strip()))
    with pytest.raises(SelabError) as raised:
        query.value(Completed((), 0, b"x" * 99 + b"\n", b""))
    reported = f"'{'x' * 20}' is not a number; it reported b'{'x' * 60}'"
    assert (raised.value.what, raised.value.detail) == ("The guest's answer makes no sense.", reported)


@pytest.mark.parametrize("text", ["0", "7", "1" * MAX_DIGITS])
def test_a_number_is_read(text: str) -> None:
    assert number(text) == int(text)


@pytest.mark.parametrize("text", ["", "-1", " 1", "1\n", "²", "١", "x" * 99, "1" * (MAX_DIGITS + 1)])
def test_what_is_no_number_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as raised:
        number(text)
    assert str(raised.value) == f"{text[:20]!r} is not a number"


def test_a_word_is_one_of_those_that_are_known() -> None:
    assert one_of("b", "a", "b") == "b"
    with pytest.raises(Malformed) as raised:
        one_of("x" * 99, "a", "b")
    assert str(raised.value) == f"'{'x' * 20}' is not one of a, b"


@pytest.mark.parametrize(("text", "line"), [("a b\n", "a b"), ("\n", "")])
def test_a_complete_line_has_its_end(text: str, line: str) -> None:
    assert complete_line(text) == line


@pytest.mark.parametrize("text", ["", "a", "a\nb", "a\n\n"])
def test_a_text_that_is_not_one_complete_line_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="it is not one complete line"):
        complete_line(text)


FAILED = Completed(("prog", "x"), 3, b"out\xff", b"err\xff")


def test_the_outputs_of_a_command_are_text_with_escapes() -> None:
    assert (FAILED.text, FAILED.error_text, FAILED.ok) == ("out\\xff", "err\\xff", False)


def test_an_exit_code_that_is_expected_is_no_error() -> None:
    assert FAILED.expect("It failed.", 1, 3) is FAILED
    success = Completed((), 0, b"", b"")
    assert (success.ok, success.expect("It failed.")) == (True, success)


@pytest.mark.parametrize(("codes", "error"), [((), b"err"), ((0, 4), b"")], ids=["default", "others"])
def test_an_exit_code_that_is_not_expected_is_an_error_with_the_commands_words(
    codes: tuple[int, ...], error: bytes
) -> None:
    with pytest.raises(CommandFailed) as raised:
        replace(FAILED, stderr=error).expect("It failed.", *codes, hint="Try again.")
    expected = CommandFailed("It failed.", ("prog", "x"), 3, error.decode() or "out\\xff", "Try again.")
    assert (raised.value.what, raised.value.detail, raised.value.hint) == (
        expected.what,
        expected.detail,
        expected.hint,
    )


@pytest.mark.parametrize(("hint", "logs"), [(f"Look. {IN_THE_LOG}", True), ("Look.", False)])
def test_the_complete_output_is_in_the_log_if_the_hint_says_so(
    caplog: pytest.LogCaptureFixture, hint: str, logs: bool
) -> None:
    with caplog.at_level("DEBUG", logger="selab"), pytest.raises(CommandFailed):
        FAILED.expect("It failed.", hint=hint)
    assert [record.getMessage() for record in caplog.records] == (
        [
            "standard error of `prog`, which ended with 3:\nerr\\xff",
            "standard output of `prog`, which ended with 3:\nout\\xff",
        ]
        if logs
        else []
    )


def test_a_script_is_sent_without_comments_and_with_what_it_includes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "policy/guest/scripts"
    directory.mkdir(parents=True)
    (directory / "one.sh").write_text("#!/bin/sh\n\n. ./lib-a-b.sh\n  # why\n  echo '#'\n. ./other.sh\n")
    (directory / "lib-a-b.sh").write_text("# what\nfirst=ü\n", encoding="utf-8")
    monkeypatch.setattr("importlib.resources.files", {"selab": tmp_path}.__getitem__)
    text = script.__wrapped__("policy/guest/one")
    assert text == "first=ü\n  echo '#'\n. ./other.sh"


def test_the_arguments_of_a_script_are_not_parsed() -> None:
    assert script_argv("policy/survey", "a b", "$c") == [
        "sh",
        "-c",
        script("policy/survey"),
        "sh",
        "a b",
        "$c",
    ]


def test_a_log_of_what_was_executed_does_not_end_an_answer() -> None:
    argv = """tr '\\0' '\\n' </proc/$$/cmdline | sed 's/.*/type=EXECVE a="&"/'"""
    first, second = results(LocalHost(), query_of(argv), query_of("echo two"))
    assert b'type=EXECVE a="sh"' in first.stdout
    assert second.stdout == b"two\n"


def test_an_answer_that_is_too_long_is_an_error() -> None:
    with pytest.raises(AnswerTooLong, match=r"The guest's answer has more than 5 bytes\."):
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


def test_only_labels_that_are_contexts_count() -> None:
    assert contexts_in(["u:r:web_t:s0", "kernel", "u:r:web_t:s0", "u:r:db_t"]) == {"u:r:web_t:s0", "u:r:db_t"}


@pytest.mark.parametrize("value", ["-", "-u:r:web_t:s0", "u:r:web\x1b_t:s0"])
def test_a_value_that_is_no_label_is_malformed(value: str) -> None:
    with pytest.raises(Malformed, match="is not a context"):
        contexts_in(["u:r:web_t:s0", value])


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "1"), (1, "1"), (5.9, "5"), (60.0, "60")])
def test_a_limit_of_a_script_is_in_whole_seconds(seconds: float, text: str) -> None:
    assert whole_seconds(seconds) == text
