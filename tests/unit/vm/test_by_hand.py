"""`selab vm` for the VMs of a matrix."""

from __future__ import annotations

import pytest

from selab.__main__ import run as selab
from selab.machine import VagrantParameters
from selab.project import find_project
from selab.vm.state import State

from .conftest import FakeVm


@pytest.fixture(autouse=True)
def slots(lab: FakeVm) -> None:
    """Two VMs of a matrix, and a third that is gone."""
    (lab.project.root / "selab.yaml").touch()
    lab.set_state("shutoff")
    for number in (1, 2, 3):
        root = lab.project.state / "vms" / f"auto-{number}"
        root.mkdir(parents=True)
        (root / "selab.yaml").touch()
        (root / "Vagrantfile").touch()
        if number < 3:
            State(find_project(root)).keep_vagrant_parameters(VagrantParameters(name="x", provider="libvirt"))


def vm(lab: FakeVm, *words: str) -> int:
    return selab(["-C", str(lab.project.root), "vm", *words])


def test_one_is_reached_by_its_name(lab: FakeVm, capfd: pytest.CaptureFixture[str]) -> None:
    assert vm(lab, "--slot", "auto-2", "status") == 0
    assert capfd.readouterr().out == "shutoff\n"


def test_an_unknown_name_is_an_error(lab: FakeVm, capfd: pytest.CaptureFixture[str]) -> None:
    assert vm(lab, "--slot", "auto-4", "status") == 2
    assert "There is no VM 'auto-4'" in capfd.readouterr().err


def test_they_are_listed(lab: FakeVm, capfd: pytest.CaptureFixture[str]) -> None:
    assert vm(lab, "list") == 0
    assert capfd.readouterr().out == "auto-1 shutoff\nauto-2 shutoff\nauto-3 shutoff\n"


@pytest.mark.program
def test_all_that_are_there_are_stopped_at_once(lab: FakeVm) -> None:
    assert vm(lab, "halt", "--matrix") == 0
    assert lab.calls() == ["halt", "halt"]


@pytest.mark.program
def test_all_that_are_there_are_removed_at_once(lab: FakeVm) -> None:
    assert vm(lab, "destroy", "--matrix", "--yes") == 0
    assert lab.calls().count("destroy") == 2
    assert vm(lab, "destroy", "--matrix", "--yes") == 0
    assert lab.calls().count("destroy") == 2
