"""selab itself is killed during a run."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.vm.faults import FULL

pytestmark = pytest.mark.usefixtures("after_all")

Begin = Callable[..., subprocess.Popen[str]]
LIMIT = 600.0
AT = """
import os, signal, sys
from selab.progress import Progress
stage, step = sys.argv.pop(1), Progress.step
def killed(self, doing, key=""):
    if doing.startswith(stage):
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    return step(self, doing, key)
Progress.step = killed
from selab.__main__ import run
sys.exit(run(sys.argv[1:]))
"""
"""Runs selab and kills it three tenths of a second after a stage has begun."""
STAGES = (
    "Making sure that the VM is up",
    "Compiling the candidate",
    "Putting the candidate in force",
    "Starting the container",
    "Doing the steps",
    "Removing the container",
    "Reading the audit window",
)
QUICK = "Putting the candidate in force"


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=() if stage == QUICK else pytest.mark.slow) for stage in STAGES]
)
def test_selab_killed_at_a_stage(stage: str, begin: Begin) -> None:
    child = begin("run", "apache", "--policy", FULL, python=("-c", AT, stage))
    child.communicate(timeout=LIMIT)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 2.5, 4.0, 6.0, 9.0])
def test_selab_killed_at_some_moment(seconds: float, begin: Begin) -> None:
    child = begin("run", "apache", "--policy", FULL)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    ended_before = child.returncode is not None
    child.communicate(timeout=LIMIT)
    assert child.returncode == (0 if ended_before else -signal.SIGKILL)


@pytest.mark.slow
def test_ctrl_c_twice_ends_it_and_leaves_nothing(begin: Begin) -> None:
    child = begin("run", "apache", "--policy", FULL)
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    ended_before = child.returncode is not None
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=LIMIT)
    # The second Ctrl-C may come when selab has given its exit code to Python, which then ends by the signal.
    assert child.returncode in ({0} if ended_before else {130, -signal.SIGINT})
