"""From the file to the exit code, on real workers that do something else than a run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from selab.__main__ import run as selab
from selab.history import History, Record
from selab.machine import VagrantParameters
from selab.matrix import coordinate
from selab.matrix.coordinate import Options, run_matrix, tasks_of
from selab.matrix.model import Matrix
from selab.matrix.slots import home
from selab.matrix.work import Answer, Task
from selab.project import Project, find_project
from selab.vm.state import State

from .fakes import Watched, no_log, record, worked

MATRIX = Matrix.model_validate(
    {"scenarios": ["web"], "policies": ["full", "draft"], "guests": ["debian13", "centos9"]}
)
FILE = "scenarios: [web]\npolicies: [full, draft]\nexpect: [{policy: draft, verdict: fail}]\n"


def as_planned(task: Task) -> Answer:
    """The full policy passes, the draft fails."""
    verdict = "PASS" if task.cell.policy == "full" else "FAIL"
    answer = worked(task)
    return dataclasses.replace(answer, result=record(task.number, verdict=verdict, policy=task.cell.policy))


@pytest.fixture
def started(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the matrix use workers that run already."""
    monkeypatch.setattr(coordinate, "local", lambda workers: contextlib.nullcontext(client))


@pytest.fixture
def fast(started: None, lab: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(coordinate, "run_matrix", functools.partial(run_matrix, function=as_planned))
    (lab.root / "matrix.yaml").write_text(FILE)
    return lab


@pytest.mark.dask
def test_every_run_is_in_the_history(lab: Project) -> None:
    # The worker is started as users' workers are: by a new interpreter.
    outcome = run_matrix(lab, MATRIX, Options(workers=1), Watched(), no_log, as_planned)
    stored = {run.document.run for run in History.of(lab).latest(10)}
    assert (
        stored == {ended.result.document.run for ended in outcome.ended if isinstance(ended.result, Record)}
        and len(stored) == 4
    )


def test_each_guest_has_its_own_settings(lab: Project) -> None:
    assert [task.config.vm.box for task in tasks_of(lab, MATRIX, Options(), no_log)] == [
        "debian13",
        "centos9",
    ] * 2


def test_workers_elsewhere_are_told_a_name_and_no_path(lab: Project) -> None:
    (home,) = {task.home for task in tasks_of(lab, MATRIX, Options(scheduler="tcp://x:1"), no_log)}
    assert home.startswith("lab-") and "/" not in home


def test_a_project_of_another_directory_has_another_name() -> None:
    assert len({coordinate._name(Project(Path(f"/{where}/lab"), None, Path())) for where in "ab"}) == 2  # type: ignore[arg-type]


@pytest.mark.dask
def test_the_command_prints_one_table_and_ends_with_its_code(
    fast: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    assert selab(["-C", str(fast.root), "matrix"]) == 0
    assert [line.split() for line in capfd.readouterr().out.splitlines()] == [
        ["scenario", "policy", "enforcing", "auto"],
        ["web", "full", "PASS", "1", "denial"],
        ["web", "draft", "FAIL,", "as", "expected", "1", "denial"],
    ]


@pytest.mark.dask
def test_vms_that_stay_are_told_with_the_command_that_stops_them(
    fast: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    slot = home(fast) / "auto-1"
    slot.mkdir(parents=True)
    (slot / "selab.yaml").touch()
    State(find_project(slot)).keep_vagrant_parameters(VagrantParameters(name="x"))
    selab(["-C", str(fast.root), "matrix"])
    assert "1 VM for the next time: auto-1. `selab vm halt --matrix` stops them" in capfd.readouterr().err


@pytest.mark.dask
def test_its_reports_are_written(fast: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--json", "--junit", str(tmp_path / "x.xml"), "--html", str(tmp_path / "x.html")]
    assert selab(["-C", str(fast.root), "matrix", *words]) == 0
    assert len(json.loads(capfd.readouterr().out)["runs"]) == 2
    assert (tmp_path / "x.xml").read_text().count("<testcase") == 2
    assert 'href="#run2"' in (tmp_path / "x.html").read_text()


def test_without_its_file_it_is_wrong_input(lab: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert selab(["-C", str(lab.root), "matrix"]) == 2
    assert "matrix.yaml" in capfd.readouterr().err
