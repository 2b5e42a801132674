"""The search of a `log` step: Python's `re`, within a limit of time and size."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.container import log_search
from selab.container.lifecycle import Container
from selab.container.runtime import runtimes
from selab.container.steps import StepResult, run_steps
from selab.errors import CommandFailed
from selab.guest import script
from selab.scenario.model import Scenario
from tests.unit.fakes import FakeGuest
from tests.unit.policy.test_pattern import PATTERNS


def result(pattern: str, log: str) -> StepResult:
    guest = FakeGuest()
    guest.answer("logs", out=log)
    guest.answer("test", code=1)
    steps = [{"log": {"pattern": pattern, "timeout": 1}}]
    scenario = Scenario.model_validate({"image": "x", "steps": steps})
    return next(run_steps(guest, scenario, {"": Container("web", 1, runtimes()["docker"])}, Path()))


def detail(pattern: str, log: str) -> str:
    return result(pattern, log).detail


@pytest.mark.parametrize("pattern", ["ready", r"(?i)READY$", "(?m)^is", "é.ready"])
def test_a_pattern_is_searched_as_python_does(pattern: str) -> None:
    assert detail(pattern, "it\nis é ready") == ""


def test_a_pattern_that_does_not_appear_fails_the_step() -> None:
    assert "did not appear in the log, which ends with: it is" in detail("never", "it is")


def test_a_search_that_takes_too_long_ends_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the limit, this search would not end."""
    monkeypatch.setattr(log_search, "MAX_SEARCH", 0.05)
    step = result("(a+)+$", "a" * 200_000 + "!")
    assert (step.ok, step.observed) == (False, False)
    assert "takes too long" in step.detail


@pytest.mark.growth
def test_a_search_that_takes_too_much_memory_is_not_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("regex.search", search)
    assert not result("a", "a").observed


def test_a_log_beyond_the_limit_is_not_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_LOG", 8)
    step = result("never", "more than 8 bytes")
    assert (step.ok, step.observed) == (False, False)
    assert "did not appear in the first 16 MiB of the log" in step.detail


def test_no_more_than_the_limit_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_LOG", 8)
    guest = FakeGuest()
    guest.answer("logs", out="123")
    search = log_search.LogSearch(guest, Container("web", 1, runtimes()["docker"]), "never")
    for _ in range(2):
        search.advance(1)
    assert [argv[4:6] for argv in guest.commands] == [("0", "8"), ("3", "5")]
    assert guest.limits == [8, 5]


def test_a_log_is_searched_again_only_after_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    monkeypatch.setattr(log_search, "contains", lambda pattern, text, seconds: searched.append(text) or True)
    guest, parts = FakeGuest(), iter(["", "", "one", "", "two"])
    guest.rules.append((("logs",), lambda argv: (0, next(parts), "")))
    search = log_search.LogSearch(guest, Container("web", 1, runtimes()["docker"]), "x")
    assert [search.advance(1) for _ in range(5)] == [True, False, True, False, True]
    assert searched == ["", "one", "onetwo"]


@pytest.mark.parametrize(("seconds", "limit"), [(1.0, 1.0), (60.0, log_search.MAX_SEARCH)])
def test_a_search_has_the_time_that_is_left_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, seconds: float, limit: float
) -> None:
    limits: list[float] = []
    monkeypatch.setattr(log_search, "contains", lambda pattern, text, seconds: limits.append(seconds))
    guest = FakeGuest()
    guest.answer("logs", out="x")
    log_search.LogSearch(guest, Container("web", 1, runtimes()["docker"]), "x").advance(seconds)
    assert limits == [limit]


def test_a_full_log_is_not_read_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_LOG", 3)
    guest = FakeGuest()
    guest.answer("logs", out="123")
    search = log_search.LogSearch(guest, Container("web", 1, runtimes()["docker"]), "never")
    assert [search.advance(1), search.advance(1), search.is_full] == [False, False, True]
    assert (len(guest.commands), search.text) == (1, "123")


def test_a_pattern_in_the_first_part_of_a_long_log_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "MAX_LOG", 8)
    assert result("more", "more than 8 bytes").ok


@given(PATTERNS, st.text("ab/.1-\n{}e<=", max_size=8))
def test_a_search_agrees_with_python(pattern: str, text: str) -> None:
    assert log_search.contains(pattern, text, 10.0) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["a{e<=1}", "a{e}", "a{}", "a{,2}b", "(?:ab){e<2}", r"a\{e\}"])
def test_braces_mean_what_they_mean_to_python(pattern: str) -> None:
    for text in ("a{e<=1}", "a{e}", "b", "a{}", "aab", "abb", "ab{e<2}", "ax"):
        assert log_search.contains(pattern, text, 10.0) == (re.search(pattern, text) is not None), text


def read_log(offset: int, limit: int, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Run the script with sh."""
    argv = ["sh", "-c", script("container/read-log"), "sh", str(offset), str(limit), *command]
    return subprocess.run(argv, capture_output=True, timeout=20)


@pytest.mark.parametrize(("limit", "part"), [(4, b"3456"), (7, b"3456789"), (99, b"3456789")])
def test_only_the_new_part_of_a_log_is_read(tmp_path: Path, limit: int, part: bytes) -> None:
    (tmp_path / "log").write_text("0123456789")
    done = read_log(3, limit, "cat", str(tmp_path / "log"))
    assert (done.returncode, done.stdout) == (0, part)


@pytest.mark.parametrize(
    ("command", "code"), [("echo x; exit 125", 125), ("echo x; exit 1", 1), ("kill -9 $$", 137)]
)
def test_a_command_that_cannot_print_the_log_gives_its_exit_code(command: str, code: int) -> None:
    assert read_log(0, 99, "sh", "-c", command).returncode == code


def test_a_runtime_that_is_missing_is_no_empty_log() -> None:
    assert read_log(0, 99, "no-such-runtime").returncode == 127


def test_a_log_without_an_end_is_cut_at_the_limit() -> None:
    done = read_log(2, 5, "yes", "ab")
    assert (done.returncode, done.stdout) == (0, b"\nab\na")


def test_a_log_that_the_runtime_cannot_print_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer("logs", code=125, out="Error response from daemon: ready")
    steps = [{"log": {"pattern": "ready", "timeout": 1}}]
    scenario = Scenario.model_validate({"image": "x", "steps": steps})
    with pytest.raises(CommandFailed, match="log of the container could not be read"):
        next(run_steps(guest, scenario, {"": Container("web", 1, runtimes()["docker"])}, Path()))
