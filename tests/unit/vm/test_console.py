"""The serial console, which a shell script in the place of virsh plays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.errors import Unreachable
from selab.vm import console
from selab.vm.console import TAIL, Console, Recorder, plain, recording

Play = Callable[[str], Console]
SHELL = 'stty -echo; while IFS= read -r line; do eval "$line" 2>&1; done\n'


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Return a function that opens a console at whose other end the shell script `body` runs."""
    opened: list[Console] = []
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(console, "PROMPT_LIMIT", 0.5)
    monkeypatch.setattr(console, "LOGIN_LIMIT", 5.0)
    monkeypatch.setattr(console, "SHELL_LIMIT", 2.0)

    def play(body: str) -> Console:
        (tmp_path / "virsh").write_text(f"#!/bin/sh\ndmesg() {{ :; }}\n{body}")
        (tmp_path / "virsh").chmod(0o755)
        opened.append(Console("lab"))
        return opened[-1]

    yield play
    for each in opened:
        each._child.close(force=True)  # without waiting for a logout


def login_prompt(password: str) -> str:
    """A login prompt, before which the kernel writes a message into the line."""
    return (
        "read -r _; printf 'lab login: [  9.1] usb: new device\\r\\n'; read -r user; printf 'Password: '\n"
        f'read -r password; [ "$user $password" = "root {password}" ] ||'
        ' { echo "Login incorrect"; sleep 9; }\n'
        f"echo 'Last login: today'\n{SHELL}"
    )


def test_the_exit_code_and_both_outputs_of_a_command_are_returned(play: Play) -> None:
    assert play(SHELL).run("echo out; echo err >&2; (exit 3)") == (3, "out\nerr\n")


def test_the_echo_of_the_command_line_is_not_taken_for_its_output(play: Play) -> None:
    assert play(SHELL.removeprefix("stty -echo; ")).run("echo out")[1].strip() == "out"


def test_escape_sequences_are_left_out_of_the_output(play: Play) -> None:
    assert play(SHELL).run("printf '\\033[1mbold\\033[0m'") == (0, "bold")


@pytest.mark.program
def test_a_command_that_does_not_end_is_an_error_that_names_it(play: Play) -> None:
    with pytest.raises(Unreachable, match="stopped answering") as caught:
        play(SHELL).run("sleep 20", timeout=0.3)
    assert "sleep 20" in caught.value.detail


@pytest.mark.program
def test_the_password_is_given_at_the_prompt(play: Play) -> None:
    child = play(login_prompt("secret"))
    child.login("secret")
    assert child.run("echo in") == (0, "in\n")


def test_a_refused_password_is_an_error_at_once(play: Play) -> None:
    with pytest.raises(Unreachable, match="refused"):
        play(login_prompt("secret")).login("wrong")


@pytest.mark.program
def test_a_shell_that_is_open_already_needs_no_password(play: Play) -> None:
    child = play(SHELL)
    child.login("unused")
    assert child.run("echo in") == (0, "in\n")


@pytest.mark.program
@pytest.mark.parametrize("body", ["exit 0\n", "sleep 20\n"])
def test_a_console_without_a_shell_is_an_error(
    play: Play, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(console, "LOGIN_LIMIT", 0.6)
    monkeypatch.setattr(console, "SHELL_LIMIT", 0.3)
    with pytest.raises(Unreachable, match="does not answer"):
        play(body).login("secret")


def test_leaving_the_console_logs_out(play: Play, tmp_path: Path) -> None:
    with play(f"trap 'touch {tmp_path}/ended' EXIT\n{SHELL}") as child:
        child.run("true")
    assert (tmp_path / "ended").exists()


def test_a_missing_virsh_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unreachable, match="cannot be reached"):
        Console("lab")


def test_the_recorder_joins_the_pieces_of_a_line_and_leaves_out_empty_ones() -> None:
    recorder = Recorder()
    for piece in ("Boo", "ting\r\n\r\n\x1b[32mOK\x1b[0m\n", "panic"):
        recorder.feed(piece)
    assert recorder.tail() == ["Booting", "OK", "panic"]


def test_the_recorder_shows_the_last_lines() -> None:
    recorder = Recorder()
    recorder.feed("".join(f"{number}\n" for number in range(500)))
    assert recorder.tail() == [str(number) for number in range(500 - TAIL, 500)]
    assert recorder.tail(2) == ["498", "499"]


@pytest.mark.program
def test_the_console_is_recorded_once_the_domain_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "virsh").write_text("#!/bin/sh\necho 'Kernel panic'\nsleep 20\n")
    (tmp_path / "virsh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    states = iter(["shut off"])
    reported: list[str] = []

    def domain_state(domain: str) -> str:
        reported.append(next(states, "running"))
        return reported[-1]

    monkeypatch.setattr(console.libvirt, "domain_state", domain_state)
    fed = threading.Event()
    feed = Recorder.feed
    monkeypatch.setattr(Recorder, "feed", lambda self, text: (feed(self, text), fed.set()))
    with recording("lab") as recorder:
        assert fed.wait(20)
        assert reported == ["shut off", "running"]
    assert recorder.tail() == ["Kernel panic"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;32mok\x1b[0m", "ok"),
        ("\x1b]0;title\x07text", "text"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00\x08\x7fb", "ab"),
    ],
)
def test_only_the_text_is_shown(text: str, shown: str) -> None:
    assert plain(text) == shown
