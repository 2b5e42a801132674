"""The processes of a tool, of which some are in another session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selab.host import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

ORPHAN = "(setsid sleep 60 >/dev/null 2>&1 & echo $!)"


def orphan(mark: str) -> int:
    """Start a process with `mark` that its parent leaves behind, and return its id."""
    environment = descendants.marked(None, mark)
    output = subprocess.run(["sh", "-c", ORPHAN], env=environment, stdout=subprocess.PIPE, check=True).stdout
    return int(output)


def test_an_orphan_with_the_mark_is_ended() -> None:
    with descendants.adopted():
        pid = orphan("mine")
        descendants.end_adopted(0, "mine")
    assert not Path(f"/proc/{pid}").exists()


def test_an_orphan_of_another_tool_remains() -> None:
    with descendants.adopted():
        pid = orphan("another")
        descendants.end_adopted(0, "mine")
        assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        descendants.end_adopted(0, "another")


def test_the_end_of_one_tool_leaves_the_others_processes_adopted() -> None:
    with descendants.adopted():
        with descendants.adopted():
            pass
        pid = orphan("mine")
        is_child = pid in descendants.children(os.getpid())
        descendants.end_adopted(0, "mine")
    assert is_child


def test_the_children_of_a_process_that_ended_are_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert descendants.children(process.pid) == []


@pytest.mark.program
def test_memory_counts_the_children() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', %r])"
    child = "b = bytearray(64 << 20); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script % child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = descendants.memory_of(process.pid, "mine")
        process.communicate(b"\n")
    assert used > 64 << 20
