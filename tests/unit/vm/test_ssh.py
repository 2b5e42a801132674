"""Quoting happens in one place, and nothing gets through it changed."""

from __future__ import annotations

import subprocess
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selab.errors import SelabError
from selab.host.capture import CHUNK
from selab.vm.host_keys import pin_text, pinned_key
from selab.vm.ssh import MAX_LINE, command_line
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


@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize("argv", [[], ["a\0b"], ["x" * MAX_LINE]])
def test_what_no_shell_could_take_is_refused(argv: list[str]) -> None:
    with pytest.raises(SelabError):
        command_line(argv, 5, sudo=False)


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
    assert peak < CHUNK
