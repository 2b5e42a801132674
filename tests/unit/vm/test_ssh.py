"""Quoting happens in one place, and nothing gets through it changed."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selab.errors import AnswerTooLong, CommandFailed, SelabError, Unreachable
from selab.guest import MAX_ANSWER, script
from selab.host.capture import CHUNK, Capture
from selab.vm import ssh
from selab.vm.host_keys import pin_text, pinned_key
from selab.vm.ssh import ANSWER_GRACE, KILL_AFTER, MAX_LINE, SESSIONS, SIGNALLED, SshGuest, command_line
from selab.vm.ssh_login import LOGIN_TIMEOUT, WINDOW, Address
from selab.vm.ssh_talk import Talk

WORDS = st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=30
) | st.sampled_from(
    [
        "",
        "-n",
        "--",
        "$(id)",
        "`id`",
        "a b",
        "'",
        '"',
        "\n",
        ";",
        "&&",
        "|",
        ">x",
        "*",
        "~",
        "\\",
        "!!",
        "{a,b}",
        "A=1",
        "\x1b[2J",
        "é\u202e",
    ]
)


@settings(max_examples=min(60, settings().max_examples), deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_each_word_arrives_as_it_was(words: list[str]) -> None:
    line = command_line(["printf", "%s\\0", *words, "end"], 5, sudo=False)
    done = subprocess.run([b"sh", b"-c", line], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [*words, "end"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_bytes_that_are_no_utf8_arrive(shell: str) -> None:
    word = b"\xff\xfe'".decode("utf-8", "surrogateescape")
    assert (
        subprocess.run(
            [shell.encode(), b"-c", command_line(["printf", "%s", word], 5, sudo=False)], capture_output=True
        ).stdout
        == b"\xff\xfe'"
    )


def test_sudo_and_the_time_limit_stand_in_front() -> None:
    assert command_line(["id", "-u"], 5, sudo=True) == b"exec sudo -n -- timeout -k 5 5.0 id -u"


@pytest.mark.parametrize("argv", [[], ["a\0b"], ["x", "a\0b"]])
def test_what_no_shell_could_take_is_refused(argv: list[str]) -> None:
    with pytest.raises(SelabError, match="empty or holds a NUL"):
        command_line(argv, 5, sudo=False)


def test_a_line_that_linux_takes_as_one_argument_is_the_longest() -> None:
    room = MAX_LINE - len(command_line([""], 5, sudo=False)) + len("''")
    assert len(command_line(["x" * room], 5, sudo=False)) == MAX_LINE
    with pytest.raises(SelabError, match="too long"):
        command_line(["x" * (room + 1)], 5, sudo=False)


def test_the_host_key_is_kept_in_openssh_format(tmp_path: Path) -> None:
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv root@selab"
    pin_text(tmp_path / "known_hosts", public)
    key = pinned_key(tmp_path / "known_hosts")
    assert key is not None
    assert key.get_base64() == public.split()[1]
    (tmp_path / "known_hosts").write_text("garbage")
    assert pinned_key(tmp_path / "known_hosts") is None


LIMIT = 10
"""Bytes that are kept of an output."""


class Channel:
    """A channel on which `silences` time-outs come before each of `chunks`."""

    def __init__(self, silences: int, *chunks: bytes) -> None:
        self.said = [*[None] * silences, *chunks, b""]

    def settimeout(self, seconds: float) -> None: ...
    def recv(self, size: int) -> bytes:
        chunk = self.said.pop(0)
        if chunk is None:
            raise TimeoutError
        return chunk


def drained(channel: Channel, probe: Callable[[], None], seconds: float = 60) -> bytes:
    talk = Talk(channel, time.monotonic() + seconds, probe)  # type: ignore[arg-type]
    return talk._drain(channel.recv, probe, LIMIT).data


def test_a_silent_command_is_waited_for_while_the_guest_answers() -> None:
    probes: list[None] = []
    assert drained(Channel(3, b"at last"), lambda: probes.append(None)) == b"at last"
    assert len(probes) == 3


def test_a_guest_that_is_stuck_ends_the_waiting() -> None:
    def stuck() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        drained(Channel(3, b"never"), stuck)


def test_a_command_that_is_silent_beyond_its_limit_is_not_asked_about() -> None:
    with pytest.raises(TimeoutError):
        drained(Channel(3, b"never"), lambda: pytest.fail("asked"), seconds=-1)


def test_a_command_that_prints_too_much_is_cut() -> None:
    channel = Channel(0, b"123456", b"123456", b"123456")
    capture = Talk(channel, time.monotonic() + 60, lambda: None)._drain(channel.recv, lambda: None, LIMIT)  # type: ignore[arg-type]
    assert (capture.data, capture.truncated, channel.said) == (b"1234561234", True, [])


def test_a_command_that_prints_without_an_end_ends_at_its_limit() -> None:
    class Endless(Channel):
        def recv(self, size: int) -> bytes:
            return b"y"

    with pytest.raises(TimeoutError):
        drained(Endless(0), lambda: None, seconds=0.05)


@pytest.mark.growth
def test_the_memory_for_an_output_does_not_grow_beyond_the_limit() -> None:
    """400 MB of output once took 946 MB."""
    block = bytes(CHUNK)
    channel = Channel(0, *[block] * (400 * 1000 * 1000 // CHUNK))
    tracemalloc.start()
    try:
        drained(channel, lambda: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # threads of other tests allocate a few as well


# --- a guest with a fake transport ----------------------------------------------------------------


class Transport:
    """A transport whose commands end as `end` says, after `seconds` of the fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, user: str = "root") -> None:
        self.end: tuple[bytes, bytes, int] = (b"", b"", 0)
        self.seconds, self.now, self.active = 1.0, 100.0, True
        self.requests: list[tuple[Any, ...]] = []
        self.opened: list[dict[str, Any]] = []
        self.channels: list[Any] = []
        self.refuses: Exception | None = None
        monkeypatch.setattr(ssh, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(ssh, "Talk", self._talk)
        address = Address("127.0.0.1", 22, user, Path("/k"), Path("/h"))
        self.closed = contextlib.ExitStack()
        self.closed.callback(self.opened.append, {"closed": True})
        self.guest = SshGuest(SimpleNamespace(transport=self), address, self.closed)  # type: ignore[arg-type]

    def open_session(self, **options: Any) -> Any:
        if self.refuses:
            raise self.refuses
        self.opened.append(options)
        self.channels.append(SimpleNamespace(closed=False))
        self.channels[-1].close = lambda: setattr(self.channels[-1], "closed", True)
        return self.channels[-1]

    def is_active(self) -> bool:
        return self.active

    def _talk(self, channel: Any, deadline: float, probe: Callable[[], None]) -> Any:
        def converse(
            line: bytes, data: bytes, argv: Sequence[str], limit: int
        ) -> tuple[Capture, Capture, int]:
            self.requests.append((line, data, tuple(argv), limit, deadline - self.now))
            self.now += self.seconds
            captures = (Capture(limit), Capture(limit))
            for capture, text in zip(captures, self.end[:2], strict=True):
                capture.add(text)
            return (*captures, self.end[2])

        return SimpleNamespace(converse=converse)


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> Transport:
    return Transport(monkeypatch)


def test_a_command_runs_with_its_input_and_limits(transport: Transport) -> None:
    transport.end = (b"out", b"err", 3)
    done = transport.guest.run(("id", "-u"), input=b"data", timeout=5, limit=10)
    assert (done.argv, done.returncode, done.stdout, done.stderr, done.truncated) == (
        *(("id", "-u"), 3, b"out", b"err", False),
    )
    line = command_line(("id", "-u"), 5, sudo=False)
    assert transport.requests == [(line, b"data", ("id", "-u"), 10, 5 + KILL_AFTER + ANSWER_GRACE)]
    assert transport.opened == [{"window_size": WINDOW, "timeout": LOGIN_TIMEOUT}]
    assert transport.channels[0].closed


def test_another_user_than_root_needs_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = Transport(monkeypatch, "me")
    transport.guest.run(("id",), timeout=5)
    assert transport.requests[0][0] == command_line(("id",), 5, sudo=True)


@pytest.mark.parametrize("code", [124, 137, SIGNALLED])
def test_a_command_that_outlives_its_limit_is_an_error(transport: Transport, code: int) -> None:
    transport.end, transport.seconds = (b"", b"", code), 5.0
    with pytest.raises(Unreachable, match="took too long") as caught:
        transport.guest.run(("sleep", "9"), timeout=5)
    assert "sleep 9" in caught.value.detail


@pytest.mark.parametrize(("code", "seconds"), [(124, 4.9), (137, 4.9), (SIGNALLED, 4.9), (1, 6.0)])
def test_a_command_may_have_such_an_exit_code_of_its_own(
    transport: Transport, code: int, seconds: float
) -> None:
    transport.end, transport.seconds = (b"", b"", code), seconds
    assert transport.guest.run(("x",), timeout=5).returncode == code


def test_a_command_without_an_exit_code_on_a_broken_connection_is_an_error(transport: Transport) -> None:
    transport.end, transport.active = (b"", b"", SIGNALLED), False
    with pytest.raises(Unreachable, match="connection to the guest broke"):
        transport.guest.run(("x",), timeout=5)


@pytest.mark.parametrize("end", [(b"12345", b"", 0), (b"", b"12345", 0)])
def test_an_output_beyond_its_limit_is_cut_and_an_error_without_one(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, end: tuple[bytes, bytes, int]
) -> None:
    monkeypatch.setattr(ssh, "MAX_ANSWER", 4)
    transport.end = end
    done = transport.guest.run(("x",), limit=4)
    assert (len(done.stdout + done.stderr), done.truncated) == (4, True)
    with pytest.raises(AnswerTooLong):
        transport.guest.run(("x",))
    monkeypatch.setattr(ssh, "MAX_ANSWER", MAX_ANSWER)
    assert not transport.guest.run(("x",)).truncated


@pytest.mark.parametrize("error", [paramiko.SSHException("gone"), OSError("gone"), EOFError("gone")])
def test_a_connection_that_opens_no_session_is_an_error(transport: Transport, error: Exception) -> None:
    transport.refuses = error
    with pytest.raises(Unreachable, match="connection to the guest broke") as caught:
        transport.guest.run(("x", "y"))
    assert "x y" in caught.value.detail and "gone" in caught.value.detail


def test_no_more_commands_run_at_a_time_than_sshd_accepts(transport: Transport) -> None:
    turns = [transport.guest._turned(("x",), 1) for _ in range(SESSIONS)]
    with contextlib.ExitStack() as stack:
        for turn in turns:
            stack.enter_context(turn)
        with pytest.raises(Unreachable, match="busy"), transport.guest._turned(("x",), -ANSWER_GRACE):
            pass
    assert transport.guest.run(("x",)).ok  # each command gave its turn back


def test_a_file_is_written_by_the_script_with_its_size(transport: Transport) -> None:
    transport.guest.put(b"data", "/x/file", mode=0o640)
    _, data, argv, *_ = transport.requests[0]
    assert (data, argv[2], argv[4:7]) == (b"data", script("vm/put"), ("/x/file", "640", "4"))
    assert len(argv[7]) == 12


@pytest.mark.parametrize(
    ("action", "what"),
    [(lambda guest: guest.put(b"", "/x"), "written"), (lambda guest: guest.get("/x"), "read")],
    ids=["put", "get"],
)
def test_a_file_that_cannot_be_written_or_read_is_an_error(
    transport: Transport, action: Callable[[SshGuest], object], what: str
) -> None:
    transport.end = (b"", b"No space left", 1)
    with pytest.raises(CommandFailed, match=f"/x could not be {what}") as caught:
        action(transport.guest)
    assert "No space left" in caught.value.detail


def test_a_file_is_read_as_it_is(transport: Transport) -> None:
    transport.end = (b"\xff\n", b"", 0)
    assert transport.guest.get("/x") == b"\xff\n"
    assert transport.requests[0][2] == ("cat", "--", "/x")


@pytest.mark.parametrize("path", ["x", "./x", ""])
def test_a_path_in_the_guest_is_absolute(transport: Transport, path: str) -> None:
    for action in (lambda: transport.guest.put(b"", path), lambda: transport.guest.get(path)):
        with pytest.raises(SelabError, match="absolute"):
            action()
    assert transport.requests == []


def test_a_guest_that_is_closed_closes_its_connection(transport: Transport) -> None:
    with transport.guest:
        assert transport.opened == []
    assert transport.opened == [{"closed": True}]


# --- the probe of a guest that is silent ----------------------------------------------------------


class Probed:
    """A channel on which `true` ends with `code`, or does not end."""

    def __init__(self, code: int | None) -> None:
        self.code, self.closed, self.commands = code, False, list[str]()
        self.status_event = threading.Event()
        if code is not None:
            self.status_event.set()

    def settimeout(self, seconds: float) -> None:
        assert seconds == ssh.PROBE_LIMIT

    def exec_command(self, line: str) -> None:
        self.commands.append(line)

    def recv_exit_status(self) -> int:
        assert self.code is not None
        return self.code

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("code", "responds"), [(0, True), (1, False), (None, False)])
def test_a_guest_responds_if_it_still_runs_a_command(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, code: int | None, responds: bool
) -> None:
    monkeypatch.setattr(ssh, "PROBE_LIMIT", 0.05)
    channel = Probed(code)
    transport.open_session = lambda timeout: channel  # type: ignore[method-assign, assignment]
    transport.packetizer = SimpleNamespace(close=lambda: None)  # type: ignore[attr-defined]
    with contextlib.nullcontext() if responds else pytest.raises(TimeoutError):
        transport.guest._probe()
    assert (channel.commands, channel.closed) == (["exec true"], True)
    assert (transport.opened == []) is responds  # the connection of a guest that hangs is closed
