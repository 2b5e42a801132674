"""What selab says if a command in a guest does not end well, and how long it waits before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from selab.errors import AnswerTooLong, SelabError, Unreachable
from selab.guest import MAX_ANSWER, RUN_TIMEOUT
from selab.vm import ssh, ssh_talk
from selab.vm.ssh import ANSWER_GRACE, KILL_AFTER, MAX_LINE, SESSIONS, SIGNALLED, command_line
from selab.vm.ssh_talk import Talk

from .test_ssh import Probed, Transport

LONG = ("x" * 159, "yz")
"""A command whose text is longer than an error shows of it."""
SHOWN = f"`{'x' * 159} `"


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> Transport:
    return Transport(monkeypatch)


def failure(action: Callable[[], object]) -> SelabError:
    with pytest.raises(SelabError) as caught:
        action()
    return caught.value


# --- the command line -----------------------------------------------------------------------------


def test_a_command_with_a_nul_byte_is_shown_up_to_a_limit() -> None:
    assert failure(lambda: command_line(["\0", *LONG], 5, sudo=False)).detail == f"'\0' {'x' * 156}"


def test_a_command_that_is_too_long_is_named_with_its_size_and_the_limit() -> None:
    line = len(command_line(["cat", ""], 5, sudo=False)) - len("''")
    detail = failure(lambda: command_line(["cat", "x" * MAX_LINE], 5, sudo=False)).detail
    assert "`cat`" in detail and f"{line + MAX_LINE} bytes" in detail and f"limit is {MAX_LINE}" in detail


# --- a command ------------------------------------------------------------------------------------


def test_a_command_has_the_usual_limits_unless_its_caller_gives_others(transport: Transport) -> None:
    done = transport.guest.run(("x",))
    assert done.argv == ("x",)
    assert transport.requests == [
        (
            command_line(("x",), RUN_TIMEOUT, sudo=False),
            b"",
            ("x",),
            MAX_ANSWER,
            RUN_TIMEOUT + KILL_AFTER + ANSWER_GRACE,
        )
    ]


def test_a_command_that_took_too_long_is_shown_with_its_limit(transport: Transport) -> None:
    transport.end, transport.seconds = (b"", b"", 124), 5.0
    error = failure(lambda: transport.guest.run(LONG, timeout=5))
    assert "took too long" in error.what
    assert error.detail == f"{SHOWN} after 5 s"


def test_a_connection_that_breaks_during_a_command_names_it(transport: Transport) -> None:
    transport.end, transport.active = (b"", b"", SIGNALLED), False
    error = failure(lambda: transport.guest.run(LONG, timeout=5))
    assert (type(error), error.detail) == (Unreachable, f"during {SHOWN}")


def test_a_command_that_a_signal_ended_on_a_good_connection_is_no_error(transport: Transport) -> None:
    transport.end = (b"", b"", SIGNALLED)
    assert transport.guest.run(("x",), timeout=5).returncode == SIGNALLED


def test_a_connection_that_breaks_before_a_command_names_it_and_the_reason(transport: Transport) -> None:
    transport.refuses = OSError("gone")
    assert failure(lambda: transport.guest.run(LONG)).detail == f"before {SHOWN}: gone"


def test_a_channel_is_closed_after_an_error(transport: Transport) -> None:
    channel = transport.guest._channel(("x",))
    with pytest.raises(ValueError, match="broken"), channel:
        raise ValueError("broken")
    assert transport.channels[0].closed


def test_an_answer_that_is_too_long_names_the_command(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "MAX_ANSWER", 4)
    transport.end = (b"12345", b"", 0)
    error = failure(lambda: transport.guest.run(LONG))
    assert isinstance(error, AnswerTooLong) and error.limit == 4
    assert f"{SHOWN} in the guest" in error.detail and "4 bytes" in error.detail


def test_a_command_that_gets_no_turn_is_named_with_its_wait(transport: Transport) -> None:
    waits: list[float] = []
    turn = SimpleNamespace(acquire=lambda timeout: waits.append(timeout))
    transport.guest._turn = turn  # type: ignore[assignment]
    error = failure(lambda: transport.guest.run(LONG, timeout=5))
    assert "busy" in error.what
    assert error.detail == f"{SHOWN} waited 5 s for its turn"
    assert waits == [5 + ANSWER_GRACE]


def test_a_command_that_fails_gives_its_turn_back(transport: Transport) -> None:
    transport.refuses = OSError("gone")
    for _ in range(SESSIONS + 1):
        assert "broke" in failure(lambda: transport.guest.run(("x",), timeout=-ANSWER_GRACE)).what


@pytest.mark.parametrize("action", ["put", "get"])
def test_a_relative_path_is_named(transport: Transport, action: str) -> None:
    words: tuple[Any, ...] = (b"", "a/b") if action == "put" else ("a/b",)
    error = failure(lambda: getattr(transport.guest, action)(*words))
    assert "must be absolute" in error.what and error.detail == "a/b"


def test_a_file_is_readable_by_all_unless_its_caller_says_otherwise(transport: Transport) -> None:
    transport.guest.put(b"", "/x")
    assert transport.requests[0][2][5] == "644"


# --- the probe ------------------------------------------------------------------------------------


def test_a_guest_that_does_not_even_read_is_cut_off(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that sends to it would wait without a limit."""
    timers: list[tuple[float, Callable[[], None]]] = []
    events: list[str] = []

    def timer(seconds: float, action: Callable[[], None]) -> Any:
        timers.append((seconds, action))
        return SimpleNamespace(start=lambda: events.append("start"), cancel=lambda: events.append("cancel"))

    monkeypatch.setattr(ssh, "threading", SimpleNamespace(Timer=timer))
    transport.packetizer = SimpleNamespace(close=lambda: events.append("cut"))  # type: ignore[attr-defined]
    sessions: list[float] = []
    transport.open_session = lambda timeout: (sessions.append(timeout), Probed(0))[1]  # type: ignore[method-assign]
    transport.guest._probe()
    timers[0][1]()
    assert (timers[0][0], sessions) == (ssh.PROBE_LIMIT, [ssh.PROBE_LIMIT])
    assert events == ["start", "cancel", "cut"]


@pytest.mark.parametrize("error", [paramiko.SSHException("gone"), OSError("gone"), EOFError("gone")])
def test_a_guest_that_opens_no_session_hangs_and_the_log_says_why(
    transport: Transport, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    transport.refuses = error
    transport.packetizer = SimpleNamespace(close=lambda: None)  # type: ignore[attr-defined]
    with caplog.at_level("INFO", "selab"), pytest.raises(TimeoutError):
        transport.guest._probe()
    assert caplog.messages == ["the guest does not run `true`: gone"]
    assert transport.opened == [{"closed": True}]


# --- the conversation -----------------------------------------------------------------------------


class Clock:
    """A clock that only its owner moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ssh_talk, "time", clock)
    return clock


class Channel:
    """A channel of a command that prints nothing and ends with 0. `limits` are its time limits."""

    def __init__(self) -> None:
        self.limits, self.ended, self.status_event = list[float](), list[str](), threading.Event()
        self.status_event.set()
        self.chunks, self.closed = [b""], False

    def settimeout(self, seconds: float) -> None:
        self.limits.append(seconds)

    def exec_command(self, line: bytes) -> None: ...

    def shutdown_write(self) -> None:
        self.ended.append("input")

    def recv(self, size: int) -> bytes:
        assert size == ssh_talk.CHUNK
        return self.chunks.pop(0)

    def recv_stderr(self, size: int) -> bytes:
        return b""

    def recv_exit_status(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def talk(channel: Any, seconds: float, probe: Callable[[], None] = lambda: None) -> Talk:
    return Talk(channel, 100.0 + seconds, probe)


@pytest.mark.parametrize(
    ("seconds", "first", "next_ones"),
    [(60.0, 60.0, ssh_talk.SILENT), (4.0, 4.0, 4.0), (0.05, 0.1, 0.1), (-1.0, 0.1, 0.1)],
)
def test_each_wait_ends_at_the_deadline_or_when_the_guest_is_to_be_probed(
    clock: Clock, seconds: float, first: float, next_ones: float
) -> None:
    channel = Channel()
    talk(channel, seconds).converse(b"", b"", ("x",), 10)
    assert channel.limits[0] == pytest.approx(first)
    assert channel.limits[1:] == pytest.approx([next_ones] * 2)


def test_a_conversation_that_is_silent_too_long_names_its_command(clock: Clock) -> None:
    def hung() -> None:
        raise TimeoutError

    channel = Channel()
    channel.recv = lambda size: hung()  # type: ignore[assignment, method-assign, func-returns-value]
    error = failure(lambda: talk(channel, 60, hung).converse(b"", b"", LONG, 10))
    assert "stopped answering" in error.what
    assert (error.detail, channel.closed) == (f"waiting for {SHOWN}", True)


def test_a_conversation_that_breaks_names_its_command_and_the_reason(clock: Clock) -> None:
    def broken(line: bytes) -> None:
        raise EOFError("gone")

    channel = Channel()
    channel.exec_command = broken  # type: ignore[method-assign]
    error = failure(lambda: talk(channel, 60).converse(b"", b"", LONG, 10))
    assert error.detail == f"during {SHOWN}: gone"


@pytest.mark.parametrize(("seconds", "probes"), [(0.001, 1), (0.0, 0), (-0.001, 0)])
def test_a_guest_is_probed_before_the_deadline_only(clock: Clock, seconds: float, probes: int) -> None:
    calls: list[None] = []
    one_more = talk(Channel(), seconds)
    if probes:
        one_more._still_there(lambda: calls.append(None))
    else:
        with pytest.raises(TimeoutError):
            one_more._still_there(lambda: calls.append(None))
    assert len(calls) == probes


def test_an_output_that_still_comes_at_the_deadline_is_cut_off(clock: Clock) -> None:
    channel = Channel()
    channel.chunks = [b"y", b""]
    with pytest.raises(TimeoutError):
        talk(channel, 0.0)._drain(channel.recv, lambda: None, 10)
    channel.chunks = [b"y", b""]
    assert talk(channel, 0.001)._drain(channel.recv, lambda: None, 10).data == b"y"


def test_no_input_is_sent_at_the_deadline_but_its_end(clock: Clock) -> None:
    channel = Channel()
    talk(channel, 0.0)._feed(b"data")  # the channel has no `send`, which would fail
    assert channel.ended == ["input"]


def test_an_input_is_sent_in_chunks_again_after_each_time_out(clock: Clock) -> None:
    sizes, failures = list[int](), [TimeoutError()]

    def send(data: bytes) -> int:
        if failures:
            raise failures.pop()
        sizes.append(len(data))
        return len(data)

    channel = Channel()
    channel.send = send  # type: ignore[attr-defined]
    talk(channel, 60)._feed(b"x" * (ssh_talk.CHUNK + 1))
    assert (sizes, channel.ended) == ([ssh_talk.CHUNK, 1], ["input"])


def test_an_exit_code_is_waited_for_while_the_guest_answers(clock: Clock) -> None:
    waits, probes = list[float](), list[None]()
    channel = Channel()
    states = iter([False, False, True])
    channel.status_event = SimpleNamespace(wait=lambda seconds: (waits.append(seconds), next(states))[1])  # type: ignore[assignment]
    assert talk(channel, 60, lambda: probes.append(None)).converse(b"", b"", ("x",), 10)[2] == 0
    assert (waits, len(probes)) == ([ssh_talk.SILENT] * 3, 2)
