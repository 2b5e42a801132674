"""What a program prints is kept up to a limit, and the program is not blocked."""

from __future__ import annotations

import subprocess
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import AnswerTooLong
from selab.guest import MAX_ANSWER
from selab.host.capture import Capture
from selab.host.local import LocalHost
from selab.host.processes import run_group

FLOOD = ["sh", "-c", "yes | head -c 80000000"]


@given(st.lists(st.binary(max_size=5)), st.integers(0, 20))
def test_the_beginning_is_kept(chunks: list[bytes], limit: int) -> None:
    capture = Capture(limit)
    for chunk in chunks:
        capture.add(chunk)
    whole = b"".join(chunks)
    assert (capture.data, capture.truncated) == (whole[:limit], len(whole) > limit)


@pytest.mark.growth
def test_the_memory_for_a_flood_does_not_grow_beyond_the_limit() -> None:
    tracemalloc.start()
    try:
        done = LocalHost().run(FLOOD, limit=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(done.stdout), done.truncated, done.returncode) == (1000, True, 0)
    assert peak < 20_000_000  # of 80 MB; threads of other tests allocate a few as well


@pytest.mark.program
def test_a_flood_without_a_limit_of_the_caller_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.host.processes.MAX_ANSWER", 1000)
    with pytest.raises(AnswerTooLong) as caught:
        LocalHost().run(FLOOD)
    assert "`sh`" in caught.value.detail and "1000 bytes" in caught.value.detail


def test_a_flood_of_errors_is_cut_as_well() -> None:
    done = LocalHost().run(["sh", "-c", "echo out; yes | head -c 1000000 >&2"], limit=100)
    assert (done.stdout, len(done.stderr), done.truncated) == (b"out\n", 100, True)


def test_an_output_of_the_limits_size_is_whole() -> None:
    done = LocalHost().run(["printf", "12345"], limit=5)
    assert (done.stdout, done.truncated) == (b"12345", False)


def test_a_large_input_arrives_while_the_output_is_read() -> None:
    data = bytes(range(256)) * 8192
    assert run_group(["cat"], timeout=60, input=data).stdout == data


def test_a_program_that_does_not_read_its_input_is_no_error() -> None:
    assert run_group(["true"], timeout=60, input=bytes(1 << 20)).returncode == 0


@pytest.mark.program
def test_a_program_that_prints_without_an_end_ends_at_its_time_limit() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_group(["yes"], timeout=0.2, limit=10)


@pytest.mark.program
def test_a_program_that_closes_its_outputs_and_stays_ends_at_its_time_limit() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_group(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout=0.2)


def test_the_usual_limit_is_above_the_usual_answers() -> None:
    assert MAX_ANSWER >= 16 << 20
