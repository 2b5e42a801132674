"""A run on a worker, in a guest that does whatever it is asked for."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.errors import Unreachable
from selab.history import Record
from selab.machine import VagrantParameters
from selab.matrix import work
from selab.matrix.coordinate import Options, tasks_of
from selab.matrix.model import Matrix
from selab.matrix.plan import Failure
from selab.matrix.slots import home
from selab.matrix.work import Answer, Task, destroy_there, run_here, run_task
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from selab.vm.state import State
from tests.unit.fakes import ReadyMachine, ScriptedGuest, keep_base

from .fakes import no_log


class FakeMachine(ReadyMachine):
    """A VM that exists; `removed` are the directories whose VM was removed."""

    removed: list[Path] = []

    def __init__(self, project: Project) -> None:
        super().__init__(ScriptedGuest())
        self.project = project
        State(project).keep_vagrant_parameters(VagrantParameters(name="x"))

    def destroy(self, progress: Progress) -> None:
        self.removed.append(self.project.root)
        State(self.project).forget()


@pytest.fixture
def task(lab: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    keep_base(tmp_path / "cache")
    monkeypatch.setattr(work, "machine_of", FakeMachine)
    monkeypatch.setattr(FakeMachine, "removed", [])
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    (lab.scenarios / "web.yaml").write_text("image: registry.test/x:1\n")
    return tasks_of(lab, Matrix(scenarios=("web",)), Options(), no_log)[0]


def ran(task: Task) -> tuple[Record | Failure, list[dict[str, str]]]:
    events: list[dict[str, str]] = []
    return run_here(task, lambda **words: events.append(words)).result, events


def test_a_run_comes_back_as_plain_data(task: Task) -> None:
    record, _ = ran(task)
    assert isinstance(record, Record) and (record.document.scenario, record.document.policy) == (
        "web",
        "none",
    )


def test_it_says_where_it_ran(task: Task) -> None:
    record, events = ran(task)
    assert isinstance(record, Record)
    (note,) = record.document.notes
    assert "guest auto" in note and "VM auto-1" in note
    assert events[0] == {"slot": "auto-1"} and {"step": "Making sure that the VM is up"} in events


def test_the_projects_own_vm_and_history_are_not_touched(task: Task, lab: Project) -> None:
    ran(task)
    assert {path.name for path in lab.state.iterdir()} == {"owner", "vms"}


def test_what_goes_wrong_is_an_answer_as_well(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(machine: FakeMachine, progress: Progress) -> None:
        raise Unreachable("The VM does not answer.", "a detail", "a hint")

    monkeypatch.setattr(FakeMachine, "ensure", broken)
    assert ran(task)[0] == Failure("The VM does not answer.", "a detail", "a hint")


def test_another_selab_is_not_worked_for(task: Task, lab: Project) -> None:
    answer, _ = ran(dataclasses.replace(task, selab="0.0.1"))
    assert isinstance(answer, Failure) and "different version" in answer.what
    assert not home(lab).exists()


def test_the_vm_of_a_guest_with_the_same_settings_stays(task: Task) -> None:
    ran(task), ran(task)
    assert FakeMachine.removed == []


def test_the_vm_of_a_guest_that_has_other_settings_now_is_removed_first(task: Task, lab: Project) -> None:
    ran(task)
    ran(dataclasses.replace(task, config=ProjectConfig(vm=VmConfig(memory=4096))))
    assert FakeMachine.removed == [home(lab) / "auto-1"]


def test_a_worker_elsewhere_has_a_directory_of_its_own(task: Task, tmp_path: Path) -> None:
    ran(dataclasses.replace(task, home="lab-abcd"))
    assert (tmp_path / "cache" / "matrix" / "lab-abcd" / "auto-1" / "scenarios" / "web.yaml").exists()


def test_the_next_run_knows_the_base_policy_of_the_last(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(task)
    seen = []
    monkeypatch.setattr(
        work.experiment,
        "run",
        lambda project, machine, request, progress, options: seen.append(options.expected_base) or stop(),
    )
    ran(task)
    assert seen[0] is not None


def test_an_answer_and_its_events_come_from_the_worker_that_has_the_task(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, dict[str, object]]] = []

    def run_here(given: Task, report: Callable[..., None]) -> Answer:
        assert given is task
        report(slot="auto-1")
        return Answer(Failure("It is odd."), "auto-1")

    worker = SimpleNamespace(address="tls://192.0.2.7:1", log_event=lambda *words: events.append(words))
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(get_worker=lambda: worker))
    monkeypatch.setattr(work, "run_here", run_here)
    assert run_task(task) == Answer(Failure("It is odd."), "auto-1", "tls://192.0.2.7:1")
    assert events == [(task.topic, {"number": 0, "slot": "auto-1"})]


@pytest.mark.parametrize("home", ["lab-abcd", "/srv/lab/vms"])
def test_a_vm_is_removed_from_the_slots_of_its_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path))
    monkeypatch.setattr(work, "destroy", lambda *words: calls.append(words[:2]))
    assert destroy_there(home, "auto-1") == ""
    assert calls == [(tmp_path / "matrix" / home, "auto-1")]


def test_why_a_vm_still_exists_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def destroy(*words: object) -> None:
        raise Unreachable("It is stuck.", "a detail", "a hint")

    monkeypatch.setattr(work, "destroy", destroy)
    text = destroy_there("lab", "auto-1")
    assert text.startswith("It is stuck.") and "a detail" in text and "\n" not in text


def stop() -> None:
    raise Unreachable("enough")
