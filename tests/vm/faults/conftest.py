"""Check what must hold after every fault, and cause faults in the guest."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.history import History
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.virtual_machine import VirtualMachine
from tests.vm.faults import FULL

BY_HAND_LIMIT = 600.0
TIDY = """
echo 0 >/sys/fs/selinux/enforce; setsebool httpd_enable_homedirs off
hwclock -s 2>/dev/null; systemctl start auditd docker
auditctl -b 8192 --backlog_wait_time 60000; auditctl -D -k flood; rm -f /var/lib/selab/full*
"""


@pytest.fixture
def in_guest(machine: VirtualMachine) -> Callable[[str], None]:
    """Return a function that runs a shell script in the guest and ignores errors."""

    def work(script: str) -> None:
        with contextlib.suppress(SelabError), machine.connect() as guest:
            guest.run(["sh", "-c", script], timeout=BY_HAND_LIMIT)

    return work


@pytest.fixture
def after_all(project: Project, run: Callable[..., Run], in_guest: Callable[[str], None]) -> Iterator[None]:
    """Check that no file of the user is lost, that the history is readable, and that the next run passes."""
    before = _content(project.policies)
    yield
    assert _content(project.policies) == before
    History.of(project).latest(5)
    assert run("apache", policy=FULL).verdict is Verdict.PASS
    in_guest(TIDY)


def _content(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def begin(project: Project) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts selab in its own process: `begin("run", "apache",
    SELAB_CACHE="/elsewhere")`.

    Its argument `python` replaces the words `-m selab`.
    """

    def work(
        *words: str, python: tuple[str, ...] = ("-m", "selab"), **environment: str
    ) -> subprocess.Popen[str]:
        command = [sys.executable, *python, "-C", str(project.root), *words]
        return subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return work
