"""selab's and Vagrant's records of the VM are removed or damaged."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from selab.host.cache import cache_dir
from selab.host.sealed import read_sealed, write_sealed
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.virtual_machine import VirtualMachine
from tests.vm.faults import FULL

pytestmark = [pytest.mark.usefixtures("after_all"), pytest.mark.slow]

Begin = Callable[..., subprocess.Popen[str]]
LIMIT = 600.0
WHILE_STARTING = """
import os, signal, sys
from selab.vm.vagrant import Vagrant
from selab.progress import Progress
note = Progress.note
def killed(self, text):
    if "Starting domain" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    note(self, text)
Progress.note = killed
from selab.__main__ import run
sys.exit(run(sys.argv[1:]))
"""
"""Runs selab and kills it while Vagrant starts the VM."""


def virsh(*words: str) -> None:
    subprocess.run(["virsh", "-c", "qemu:///system", *words], check=True, capture_output=True)


def test_vagrants_directory_removed_while_the_vm_runs(project: Project) -> None:
    shutil.rmtree(project.root / ".vagrant")


def test_vagrants_directory_removed_while_the_vm_is_off(project: Project, machine: VirtualMachine) -> None:
    virsh("destroy", machine.files.domain)
    # The directory may be missing already: selab does not need it while the VM runs.
    shutil.rmtree(project.root / ".vagrant", ignore_errors=True)


def test_selabs_records_removed(project: Project) -> None:
    shutil.rmtree(project.state)


def test_the_records_of_both_removed_while_the_vm_runs(project: Project) -> None:
    """No key to the VM is left, so the next run replaces it."""
    shutil.rmtree(project.root / ".vagrant", ignore_errors=True)
    shutil.rmtree(project.state)


def test_selabs_records_truncated(project: Project) -> None:
    for path in (*project.state.glob("*.json"), project.state / "known_hosts"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_selabs_records_of_another_machine(project: Project) -> None:
    """Change the record as if the project had been copied with its `.selab`: selab must not use it."""
    record = project.state / "guest.json"
    write_sealed(record, read_sealed(record) | {"written_for": "selab-other on another", "port": 1})


def test_the_vm_removed_by_hand_and_its_disk_left(machine: VirtualMachine) -> None:
    domain = machine.files.domain
    virsh("destroy", domain)
    virsh("undefine", domain)


@pytest.fixture
def restored_box() -> Iterator[None]:
    """Restore the box after the test, for the other projects of this machine."""
    boxes = cache_dir() / "boxes"
    aside = boxes.with_name("boxes.aside")
    yield
    if aside.exists():
        shutil.rmtree(boxes, ignore_errors=True)
        aside.rename(boxes)


def test_the_box_removed_while_the_vm_is_off(
    machine: VirtualMachine, run: Callable[..., Run], restored_box: None
) -> None:
    virsh("destroy", machine.files.domain)
    boxes = cache_dir() / "boxes"
    boxes.rename(boxes.with_name("boxes.aside"))
    assert run("apache", policy=FULL).verdict is Verdict.PASS


def test_selab_killed_while_vagrant_creates_the_vm(machine: VirtualMachine, begin: Begin) -> None:
    destroy = begin("vm", "destroy", "--yes")
    destroy.communicate(timeout=LIMIT)
    assert destroy.returncode == 0
    child = begin("run", "apache", "--policy", FULL, python=("-c", WHILE_STARTING))
    child.communicate(timeout=LIMIT)
    assert child.returncode == -signal.SIGKILL
