"""Vagrant through python-vagrant: what Ctrl-C does to it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from selab.vm import terminal
from tests.unit.processes import is_gone

from .fake_vagrant import Fake, fake_vagrant

pytestmark = pytest.mark.program

CLEANS_UP = """
def clean(*_):
    note("cleaning")
    time.sleep(0.3)
    note("cleaned")
    sys.exit(1)
signal.signal(signal.SIGINT, clean)
note(str(os.getpid()))
stage("Booting")
time.sleep(60)
"""
AS_A_CHILD = """
if "as a child" not in sys.argv:
    import subprocess; sys.exit(subprocess.run([sys.executable, __file__, "as a child"]).returncode)
"""
IGNORING_SIGINT = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
ENDING_AT_SIGINT = (
    "signal.signal(signal.SIGINT, signal.SIG_DFL); signal.signal(signal.SIGHUP, signal.SIG_IGN)"
)
CLEANS_UP_FOR_LONG = """
def clean(*_):
    signal.signal(signal.SIGINT, end)
    note("cleaning")
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)
    note("cleaned")
def end(*_):
    note("ended at once")
    os._exit(1)
signal.signal(signal.SIGINT, clean)
note(str(os.getpid()))
stage("Booting")
time.sleep(60)
"""
DOES_NOT_END = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
note(str(os.getpid()))
stage("Booting")
time.sleep(60)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return fake_vagrant(tmp_path, monkeypatch)


def ctrl_c(text: str) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "launcher",
    ["", IGNORING_SIGINT + AS_A_CHILD, ENDING_AT_SIGINT + AS_A_CHILD],
    ids=["none", "that waits", "that ends first"],
)
def test_ctrl_c_lets_vagrant_clean_up(fake: Fake, launcher: str) -> None:
    """HashiCorp's packages start Vagrant by a launcher, Debian's start it directly."""
    fake.notes.on_note = ctrl_c
    fake.program(launcher + CLEANS_UP)
    with pytest.raises(KeyboardInterrupt):
        fake.vagrant.up(fake.progress)
    pid, *events = fake.events
    assert events == ["cleaning", "cleaned"]
    assert is_gone(int(pid))


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_ends_vagrant_at_once(fake: Fake) -> None:
    fake.notes.on_note = ctrl_c
    fake.program(CLEANS_UP_FOR_LONG)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fake.vagrant.up(fake.progress)
    pid, *events = fake.events
    assert events == ["cleaning", "ended at once"]
    assert is_gone(int(pid))
    assert time.monotonic() - start < terminal.INTERRUPT_LIMIT


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("launcher", ["", IGNORING_SIGINT + AS_A_CHILD], ids=["none", "that waits"])
def test_a_vagrant_that_ignores_signals_is_killed(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    monkeypatch.setattr(terminal, "INTERRUPT_LIMIT", 0.1)
    fake.notes.on_note = ctrl_c
    fake.program(launcher + DOES_NOT_END)
    with pytest.raises(KeyboardInterrupt):
        fake.vagrant.up(fake.progress)
    assert is_gone(int(fake.events[0]))


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_vagrant_may_print_more_than_the_terminal_holds(fake: Fake) -> None:
    fake.notes.on_note = ctrl_c
    # `print` fails in a signal handler if the signal came while the program printed (reentrant call).
    fake.program(CLEANS_UP.replace("time.sleep(0.3)", "for _ in range(250): os.write(1, b'x' * 4000)"))
    with pytest.raises(KeyboardInterrupt):
        fake.vagrant.up(fake.progress)
    assert fake.events[1:] == ["cleaning", "cleaned"]
