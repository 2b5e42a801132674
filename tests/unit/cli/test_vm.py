"""`selab vm`: what each command does with the machine, its exit code, and its lock."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest

from selab.guest import Completed
from selab.progress import Progress
from selab.project import Project
from selab.vm.lock import vm_lock
from tests.unit.fakes import FakeGuest

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


class Machine:
    """A machine that records what is done with it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.guest = FakeGuest()
        self.action = ""
        self.state = "shutoff"
        self.reach = "closed"

    def status(self) -> str:
        return self.state

    def network(self) -> str:
        return self.reach

    def set_network(self, reach: str, progress: Progress) -> None:
        self.calls.append(f"network {reach}")
        self.reach = reach

    def location(self) -> str:
        return "127.0.0.1:2222"

    def prepare(self, progress: Progress) -> list[str]:
        self.calls.append("prepare")
        return []

    def ensure(self, progress: Progress) -> FakeGuest:
        self.calls.append("ensure")
        return self.guest

    def wait(self) -> FakeGuest:
        self.calls.append("wait")
        return self.guest

    def connect(self) -> FakeGuest:
        self.calls.append("connect")
        return self.guest

    def rescue(self, progress: Progress) -> str:
        self.calls.append("rescue")
        return self.action

    def shell(self) -> None:
        self.calls.append("shell")

    def suspend(self, progress: Progress) -> None:
        self.calls.append("suspend")

    def halt(self, progress: Progress) -> None:
        self.calls.append("halt")

    def destroy(self, progress: Progress) -> None:
        self.calls.append("destroy")

    def reset(self) -> None:
        self.calls.append("reset")

    def console_command(self) -> list[str]:
        return ["virsh", "console", "x"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("selab.vm.select.machine_of", lambda project: machine)
    return machine


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (("up",), ["ensure"]),
        (("up", "--prepare"), ["prepare", "ensure"]),
        (("suspend",), ["suspend"]),
        (("halt",), ["halt"]),
        (("reset",), ["reset", "wait"]),
        (("rescue",), ["rescue"]),
        (("destroy", "--yes"), ["destroy"]),
        (("network",), []),
        (("network", "open"), ["network open"]),
        (("network", "closed"), ["network closed"]),
    ],
    ids=" ".join,
)
def test_a_command_does_this_and_nothing_else_with_the_vm(
    selab: Selab, machine: Machine, words: tuple[str, ...], calls: list[str]
) -> None:
    assert selab("vm", *words) == 0
    assert machine.calls == calls


@pytest.mark.parametrize(
    "words",
    [
        *(("up",), ("suspend",), ("halt",), ("reset",), ("rescue",), ("destroy", "--yes")),
        ("network", "open"),
    ],
    ids=" ".join,
)
def test_a_vm_that_another_selab_uses_is_left_alone(
    selab: Selab, machine: Machine, project: Project, capsys: Capture, words: tuple[str, ...]
) -> None:
    with vm_lock(project, "selab run web", Progress()):
        assert selab("--no-wait", "vm", *words) == 3
    assert machine.calls == []
    assert "`selab run web`" in capsys.readouterr().err


def test_the_status_is_one_word_also_while_the_vm_is_in_use(
    selab: Selab, project: Project, capsys: Capture
) -> None:
    with vm_lock(project, "selab run web", Progress()):
        assert selab("--no-wait", "vm", "status") == 0
    assert capsys.readouterr().out == "shutoff\n"


@pytest.mark.parametrize(
    ("state", "reach", "noted"),
    [
        ("running", "open", True),
        ("running", "unknown", True),
        ("running", "closed", False),
        ("running", "", False),
        ("shutoff", "open", False),
    ],
)
def test_the_status_says_that_the_network_of_a_running_vm_is_not_closed(
    selab: Selab, machine: Machine, capsys: Capture, state: str, reach: str, noted: bool
) -> None:
    machine.state, machine.reach = state, reach
    assert selab("vm", "status") == 0
    output = capsys.readouterr()
    assert output.out == f"{state}\n"
    assert (f"the VM's network is {reach}" in output.err) is noted


def test_the_network_is_printed_with_its_meaning(selab: Selab, machine: Machine, capsys: Capture) -> None:
    assert selab("vm", "network", "open") == 0
    assert capsys.readouterr().out.startswith("open: the guest reaches")


def test_the_network_of_an_existing_host_is_unknown_to_selab(
    selab: Selab, machine: Machine, capsys: Capture
) -> None:
    machine.reach = ""
    assert selab("vm", "network") == 2
    assert "existing host" in capsys.readouterr().err


def test_a_vm_that_is_up_says_where_it_is(selab: Selab, machine: Machine, capsys: Capture) -> None:
    selab("vm", "up")
    assert capsys.readouterr().out == "running 127.0.0.1:2222\n" and machine.guest.closed


@pytest.mark.parametrize(("action", "text"), [("reset it", "reset it\n"), ("", "Nothing is wrong")])
def test_a_rescue_says_what_was_done(
    selab: Selab, machine: Machine, capsys: Capture, action: str, text: str
) -> None:
    machine.action = action
    selab("vm", "rescue")
    assert capsys.readouterr().out.startswith(text)


@pytest.mark.parametrize(
    ("answer", "code", "calls"), [("y\n", 0, ["destroy"]), ("n\n", 130, []), ("", 130, [])]
)
def test_a_vm_is_removed_only_if_the_user_confirms_it(
    selab: Selab,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    calls: list[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert selab("vm", "destroy") == code
    assert machine.calls == calls


def test_without_a_vm_of_a_matrix_none_is_touched_and_no_question_is_asked(
    selab: Selab, machine: Machine
) -> None:
    assert selab("vm", "destroy", "--matrix") == 0
    assert selab("vm", "halt", "--matrix") == 0
    assert machine.calls == []


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes, *, terminal: bool = False) -> None:
    fake = SimpleNamespace(isatty=lambda: terminal, buffer=io.BytesIO(data))
    monkeypatch.setattr(sys, "stdin", fake)


@pytest.mark.parametrize("code", [0, 7])
def test_a_commands_status_and_output_are_its_own(
    selab: Selab,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    code: int,
) -> None:
    stdin(monkeypatch, b"input")
    machine.guest.answer("ausearch -m avc", code=code, out="results\n", err="remarks\n")
    assert selab("vm", "ssh", "--", "ausearch", "-m", "avc") == code
    sys.stdout.flush()
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"results\n", b"remarks\n")
    assert (machine.guest.inputs, machine.guest.closed) == ([b"input"], True)


def test_one_word_is_a_line_of_the_shell(
    selab: Selab, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"")
    machine.guest.answer("sh -c cd / && ls | wc -l")
    assert selab("vm", "ssh", "--", "cd / && ls | wc -l") == 0


def test_a_command_that_a_signal_ended_did_not_succeed(
    selab: Selab, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"")
    monkeypatch.setattr(machine.guest, "run", lambda argv, **_: Completed(tuple(argv), -9, b"", b""))
    assert selab("vm", "ssh", "--", "sleep", "9") == 255


def test_a_terminal_is_no_input_of_a_command(
    selab: Selab, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"typed later", terminal=True)
    machine.guest.answer("sh -c id")
    selab("vm", "ssh", "--", "id")
    assert machine.guest.inputs == [b""]


def test_without_a_command_it_is_a_shell(selab: Selab, machine: Machine) -> None:
    assert selab("vm", "ssh") == 0
    assert machine.calls == ["shell"]


def test_the_console_takes_the_place_of_selab(selab: Selab, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: commands.append((program, words)))
    selab("vm", "console")
    assert commands == [("virsh", ["virsh", "console", "x"])]
