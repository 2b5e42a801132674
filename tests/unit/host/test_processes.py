"""Programs of this machine: nothing of them remains after their time limit, and their memory is limited."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError, Unreachable
from selab.host.local import LocalHost
from selab.host.processes import Limits, run_group
from selab.policy.query import decide_subprocess
from selab.policy.query.decide import Access
from selab.vm import libvirt
from tests.unit.processes import assert_ended, is_running

CHILD = 'sleep 60 & echo $! > "$0"; '


@pytest.mark.program
def test_after_the_time_limit_no_grandchild_remains(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(Unreachable, match="did not end within 1 seconds"):
        LocalHost().run(["sh", "-c", CHILD + "wait", str(file)], timeout=1)
    assert_ended(file)


def test_a_grandchild_in_the_background_ends_with_its_command(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    LocalHost().run(["sh", "-c", "exec >/dev/null 2>&1; " + CHILD, str(file)], timeout=10)
    assert_ended(file)


def test_after_an_interrupt_no_grandchild_remains(tmp_path: Path, interruptible: None) -> None:
    file = tmp_path / "pid"

    def interrupt() -> None:
        while not file.exists() or not file.read_text().strip():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        LocalHost().run(["sh", "-c", CHILD + "wait", str(file)], timeout=20)
    assert_ended(file)


def test_after_an_interrupt_while_a_program_starts_it_does_not_remain(
    interruptible: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_group(["sleep", "60"], timeout=20)
    (process,) = started
    assert process.returncode == -signal.SIGKILL


def test_without_an_interrupt_its_handler_stays(interruptible: None) -> None:
    run_group(["true"], timeout=20)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_tool_gets_no_more_memory_than_its_limit() -> None:
    done = LocalHost().run([sys.executable, "-c", "bytearray(5 << 30)"], timeout=30)
    assert b"MemoryError" in done.stderr


def test_a_tool_gets_no_more_processor_time_than_its_time_limit() -> None:
    assert LocalHost().run(["sh", "-c", "ulimit -t"], timeout=7).text == "8\n"


def test_a_build_gets_the_memory_that_it_needs() -> None:
    assert LocalHost(limits=None).run(["sh", "-c", "ulimit -v"], timeout=7).text == "unlimited\n"


def test_a_program_that_is_missing_is_127_with_limits() -> None:
    done = LocalHost().run(["no-such-program"])
    assert (done.returncode, done.stderr) == (127, b"no-such-program: not found")


def test_a_program_that_closes_its_input_is_no_error() -> None:
    assert LocalHost().run(["true"], input=b"x" * (1 << 20)).ok


@pytest.mark.program
def test_a_probe_of_this_machine_leaves_no_grandchild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, program = tmp_path / "pid", tmp_path / "virsh"
    program.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {file}; wait\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert libvirt.virsh("uri", limit=1).returncode == 124
    assert_ended(file)


@pytest.mark.program
def test_the_decider_of_accesses_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, program = tmp_path / "pid", tmp_path / "python"
    program.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {file}; wait\n")
    program.chmod(0o755)
    monkeypatch.setattr(decide_subprocess, "LIMIT", 1)
    monkeypatch.setattr(decide_subprocess.sys, "executable", str(program))
    with pytest.raises(SelabError, match="libsepol did not answer"):
        decide_subprocess.ask(tmp_path / "policy", [Access("a", "b", "file", "read")])
    assert_ended(file)


ESCAPE = 'setsid sh -c \'echo $$ > "$0"; sleep 60\' "$0" >/dev/null 2>&1 & while [ ! -s "$0" ]; do :; done; '


@pytest.mark.program
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has child subreapers")
@pytest.mark.parametrize("ending", ["exit 0", "sleep 60"])
def test_a_process_that_left_the_group_ends_with_its_tool(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "pid"
    with contextlib.suppress(Unreachable):
        LocalHost().run(["sh", "-c", ESCAPE + ending, str(file)], timeout=1)
    assert_ended(file)


def test_a_daemon_that_a_program_without_limits_starts_remains(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    LocalHost(limits=None).run(["sh", "-c", ESCAPE, str(file)], timeout=10)
    pid = int(file.read_text())
    remains = is_running(pid)
    os.killpg(pid, signal.SIGKILL)
    assert remains


@pytest.mark.growth
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_the_processes_of_a_tool_get_no_more_memory_together_than_one(tmp_path: Path) -> None:
    program = "import time; b = bytearray(100 << 20); time.sleep(60)"
    words = [sys.executable, "-c", program]
    tool = LocalHost(limits=Limits(250 << 20))
    with pytest.raises(SelabError, match="used too much memory"):
        tool.run(["sh", "-c", '"$@" & "$@" & "$@"', "sh", *words], timeout=30)


def test_no_module_runs_a_program_with_a_time_limit_that_ends_only_the_child() -> None:
    """subprocess.run with a timeout ends only the child. `run_group` ends the whole group."""
    root = Path(__file__).parents[3] / "selab"
    # The guard runs in the guest. The daemons that vm/libvirt.py starts must outlive selab.
    allowed = {"vm/guest_agent/guard.py", "vm/libvirt.py"}
    modules = set()
    for path in root.rglob("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "subprocess.run" in source else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.run":
                keywords = {keyword.arg for keyword in node.keywords}
                if keywords & {"timeout", None}:
                    modules.add(path.relative_to(root).as_posix())
    assert modules <= allowed
