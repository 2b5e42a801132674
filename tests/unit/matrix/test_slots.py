"""Slots: which VM a run gets, and how the user reaches it by hand."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import time
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.machine import VagrantParameters
from selab.matrix.slots import claimed, destroy, has_vm, home, slot_project, slots
from selab.progress import Progress
from selab.project import Project, find_project
from selab.vm.state import State


def make(place: Path, slot: str, vm: bool = True) -> Project:
    (place / slot).mkdir(parents=True)
    (place / slot / "selab.yaml").touch()
    project = find_project(place / slot)
    if vm:
        State(project).keep_vagrant_parameters(VagrantParameters(name=slot))
    return project


def test_each_run_has_a_vm_of_its_own(tmp_path: Path) -> None:
    with (
        claimed(tmp_path, "auto") as first,
        claimed(tmp_path, "auto") as second,
        claimed(tmp_path, "centos9") as other,
    ):
        assert [first.name, second.name, other.name] == ["auto-1", "auto-2", "centos9-1"]


def test_the_next_run_has_the_same_one(tmp_path: Path) -> None:
    for _ in range(2):
        with claimed(tmp_path, "auto") as slot:
            assert slot.name == "auto-1"


def test_one_that_has_a_vm_is_taken_first(tmp_path: Path) -> None:
    make(tmp_path, "auto-1", vm=False)
    make(tmp_path, "auto-7")
    with claimed(tmp_path, "auto") as slot:
        assert slot.name == "auto-7"


def test_the_one_of_a_guest_whose_name_begins_alike_is_not_taken(tmp_path: Path) -> None:
    make(tmp_path, "auto-x-1")
    with claimed(tmp_path, "auto") as slot:
        assert slot.name == "auto-1"


@pytest.mark.program
def test_it_is_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    other = context.Process(target=hold, args=(tmp_path, started), daemon=True)
    other.start()
    assert started.wait(30)
    other.kill()
    other.join()
    with claimed(tmp_path, "auto") as slot:
        assert slot.name == "auto-1"


def hold(place: Path, started: multiprocessing.synchronize.Event) -> None:
    with claimed(place, "auto"):
        started.set()
        time.sleep(60)


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), claimed(tmp_path, "auto"):
        raise KeyError
    with claimed(tmp_path, "auto") as slot:
        assert slot.name == "auto-1"


def test_one_that_is_in_use_is_not_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.matrix.slots.CLAIM_LIMIT", 0.05)
    make(tmp_path, "auto-1")
    with claimed(tmp_path, "auto"), pytest.raises(SelabError, match="in use"):
        destroy(tmp_path, "auto-1", Progress())


def test_they_are_listed_by_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        make(tmp_path, f"auto-{number}")
    assert slots(tmp_path) == ["auto-1", "auto-9", "auto-10"]


def test_a_slot_is_a_project_with_a_vm_of_its_own(lab: Project) -> None:
    slot = make(home(lab), "auto-1")
    assert has_vm(slot) and State(slot_project(lab, "auto-1")).name != State(lab).name


@pytest.mark.parametrize("name", ["auto-2", "../..", ".", ""])
def test_a_name_that_is_none_is_refused(lab: Project, name: str) -> None:
    make(home(lab), "auto-1")
    with pytest.raises(InputError, match="There is no VM"):
        slot_project(lab, name)


def test_to_ask_for_the_place_of_the_slots_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "selab.yaml").touch()
    assert not home(find_project(tmp_path)).exists()
