"""Several selab processes run at the same time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selab.api import Selab
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.virtual_machine import VirtualMachine
from tests.vm.faults import FULL

pytestmark = pytest.mark.usefixtures("after_all")

Begin = Callable[..., subprocess.Popen[str]]
LIMIT = 600.0


def test_a_second_selab_waits_and_reports_for_which_command(begin: Begin, run: Callable[..., Run]) -> None:
    others: list[subprocess.Popen[str]] = []

    def beside() -> None:
        others.extend(
            [begin("--no-wait", "run", "apache", "--policy", FULL), begin("run", "apache", "--policy", FULL)]
        )
        refused, _ = others[0].communicate(timeout=LIMIT)
        assert "in use" in refused and "selab run apache" in refused

    assert run("apache", policy=FULL, after_steps=beside).verdict is Verdict.PASS
    waited, _ = others[1].communicate(timeout=LIMIT)
    assert [other.returncode for other in others] == [3, 0]
    assert "Waiting for the VM, which is in use by `selab run apache`" in waited.replace("\n", " ")


@pytest.fixture
def neighbour(project: Project, tmp_path: Path) -> Iterator[Selab]:
    """Copy the project to another one, which has its own VM."""
    root = tmp_path / "neighbour"
    shutil.copytree(project.root, root, ignore=shutil.ignore_patterns(".selab", ".vagrant", ".git", ".venv"))
    other = find_project(root)
    machine = VirtualMachine(other)
    yield Selab(other, machine)
    machine.destroy(Progress())


@pytest.mark.slow
def test_two_projects_side_by_side(neighbour: Selab, run: Callable[..., Run]) -> None:
    with ThreadPoolExecutor(1) as beside:
        theirs = beside.submit(neighbour.execute, "apache", policy=FULL)
        mine = [run("apache", policy=FULL).verdict for _ in range(3)]
        assert mine == [Verdict.PASS] * 3 and theirs.result(LIMIT).verdict is Verdict.PASS
