"""One command's conversation on its channel, with a fake channel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import paramiko
import pytest

from selab.errors import Unreachable
from selab.guest import MAX_ANSWER
from selab.vm.ssh_talk import CHUNK, Talk

ARGV = ["cat", "a b"]


class Channel:
    """A channel of a command that prints `output` and `errors` and ends with `code`.

    With `reads`, it prints only when it has read its whole input. `refuses` is the error that starting the
    command raises. A channel that does not `end` never reports an exit code.
    """

    def __init__(
        self,
        output: tuple[bytes, ...] = (),
        errors: tuple[bytes, ...] = (),
        code: int = 0,
        *,
        reads: bool = False,
        ends: bool = True,
        broken_input: bool = False,
        refuses: Exception | None = None,
    ) -> None:
        self.output, self.errors, self.code = [*output, b""], [*errors, b""], code
        self.reads, self.broken_input, self.refuses = reads, broken_input, refuses
        self.input, self.line, self.closed = b"", b"", False
        self.status_event, self.input_ended = threading.Event(), threading.Event()
        if ends:
            self.status_event.set()

    def settimeout(self, seconds: float) -> None: ...

    def exec_command(self, line: bytes) -> None:
        if self.refuses:
            raise self.refuses
        self.line = line

    def shutdown_write(self) -> None:
        self.input_ended.set()

    def send(self, data: bytes) -> int:
        if self.broken_input:
            raise OSError("Socket is closed")
        part = data[:1000]
        self.input += part
        return len(part)

    def recv(self, size: int) -> bytes:
        if self.reads and not self.input_ended.wait(5):
            raise AssertionError("the end of the input did not come")
        return self.output.pop(0)

    def recv_stderr(self, size: int) -> bytes:
        return self.errors.pop(0)

    def recv_exit_status(self) -> int:
        return self.code

    def close(self) -> None:
        self.closed = True


def converse(
    channel: Channel,
    data: bytes = b"",
    seconds: float = 10,
    probe: Callable[[], None] = lambda: None,
) -> tuple[bytes, bytes, int]:
    talk = Talk(channel, time.monotonic() + seconds, probe)  # type: ignore[arg-type]
    output, errors, code = talk.converse(b"cat 'a b'", data, ARGV, MAX_ANSWER)
    return output.data, errors.data, code


def test_both_outputs_and_the_exit_code_are_returned_apart() -> None:
    channel = Channel((b"on", b"e"), (b"bad",), 3)
    assert converse(channel) == (b"one", b"bad", 3)
    assert channel.line == b"cat 'a b'" and channel.closed


def test_all_of_the_input_arrives_and_then_its_end() -> None:
    data = bytes(range(256)) * (CHUNK // 128)
    channel = Channel((b"read",), reads=True)
    assert converse(channel, data)[0] == b"read"
    assert channel.input == data


def test_a_command_without_input_gets_its_end_at_once() -> None:
    channel = Channel((b"read",), reads=True)
    assert converse(channel)[0] == b"read"


def test_a_command_that_ends_without_reading_its_input_is_no_error() -> None:
    assert converse(Channel((b"done",), broken_input=True), b"data") == (b"done", b"", 0)


@pytest.mark.parametrize("error", [paramiko.SSHException("gone"), OSError("gone"), EOFError("gone")])
def test_a_broken_connection_is_an_error_that_names_the_command(error: Exception) -> None:
    with pytest.raises(Unreachable, match="connection to the guest broke") as caught:
        converse(Channel(refuses=error))
    assert "cat 'a b'" in caught.value.detail and "gone" in caught.value.detail


def test_a_command_that_reports_no_exit_code_until_the_deadline_is_an_error() -> None:
    channel = Channel((b"out",), ends=False)
    with pytest.raises(Unreachable, match="stopped answering") as caught:
        converse(channel, seconds=-1)
    assert "cat 'a b'" in caught.value.detail
    assert channel.closed


def test_a_hung_guest_ends_the_conversation_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def hung() -> None:
        raise TimeoutError

    monkeypatch.setattr("selab.vm.ssh_talk.SILENT", 0.01)
    begin = time.monotonic()
    with pytest.raises(Unreachable, match="stopped answering"):
        converse(Channel(ends=False), seconds=5, probe=hung)
    assert time.monotonic() - begin < 4
