"""`selab matrix`: its file, its options, its exit code, and what it says about VMs that stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.machine import VagrantParameters
from selab.matrix.coordinate import Options, Outcome
from selab.matrix.model import Matrix
from selab.matrix.plan import Ended
from selab.project import Project, find_project
from selab.vm.state import State
from tests.unit.matrix.fakes import ended

from .conftest import Selab

Capture = pytest.CaptureFixture[str]
Calls = list[tuple[Matrix, Options]]


@pytest.fixture
def outcome() -> dict[str, Any]:
    """What the runs come to."""
    return {"ended": (ended(verdict="PASS"),), "removed": {}}


@pytest.fixture(autouse=True)
def calls(project: Project, outcome: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The matrices that were run, with their options."""
    calls: Calls = []

    def run_matrix(
        project: object, matrix: Matrix, options: Options, watcher: object, log: object
    ) -> Outcome:
        calls.append((matrix, options))
        return Outcome(**outcome)

    monkeypatch.setattr("selab.matrix.coordinate.run_matrix", run_matrix)
    (project.root / "matrix.yaml").write_text("scenarios: [web]\n")
    return calls


def keep_vm(project: Project, name: str) -> None:
    """Leave a VM of the project's matrix."""
    slot = project.state / "vms" / name
    slot.mkdir(parents=True)
    (slot / "selab.yaml").touch()
    State(find_project(slot)).keep_vagrant_parameters(VagrantParameters(name="x"))


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ((ended(verdict="PASS"), ended(verdict="FAIL", expected="FAIL")), 0),
        ((ended(verdict="PASS"), ended(verdict="FAIL")), 1),
        ((ended(verdict="FAIL"), ended()), 3),
    ],
)
def test_the_worst_run_is_the_exit_code(
    selab: Selab, outcome: dict[str, Any], results: tuple[Ended, ...], code: int
) -> None:
    outcome["ended"] = results
    assert selab("matrix") == code


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), Options()),
        (("--workers", "3", "--destroy"), Options(workers=3, destroy=True)),
        (("--scheduler", "tcp://x:1"), Options(scheduler="tcp://x:1")),
    ],
)
def test_the_options_are_passed_on(
    selab: Selab, calls: Calls, words: tuple[str, ...], options: Options
) -> None:
    selab("matrix", *words)
    assert [options for _, options in calls] == [options]


def test_the_matrix_is_that_of_the_named_file(selab: Selab, project: Project, calls: Calls) -> None:
    other = project.root / "other.yaml"
    other.write_text("scenarios: [mail]\n")
    selab("matrix", str(other))
    selab("matrix")
    assert [matrix.scenarios for matrix, _ in calls] == [("mail",), ("web",)]


def test_a_report_that_has_no_matrix_is_refused_before_any_run(
    selab: Selab, project: Project, calls: Calls
) -> None:
    assert selab("matrix", "--sarif", str(project.root / "x.sarif")) == 2
    assert calls == []


def test_the_user_is_asked_about_every_guest_before_any_run(
    selab: Selab, project: Project, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[tuple[str, int]] = []

    def ask_about(context: object, project: Project) -> None:
        source = project.config.vm.source
        questions.append((source.url if source else "", len(calls)))

    monkeypatch.setattr("selab.cli.trust.ask_about", ask_about)
    guests = [{"name": name, "source": {"url": f"https://{name}.test/x.box"}} for name in ("a", "b")]
    (project.root / "matrix.yaml").write_text(json.dumps({"scenarios": ["web"], "guests": guests}))
    assert selab("matrix") == 0
    assert questions == [("https://a.test/x.box", 0), ("https://b.test/x.box", 0)]


def test_without_a_vm_nothing_is_said_to_stay(selab: Selab, capsys: Capture) -> None:
    selab("matrix")
    assert "next time" not in capsys.readouterr().err


def test_the_vms_that_stay_are_named_with_the_commands_that_end_them(
    selab: Selab, project: Project, capsys: Capture
) -> None:
    keep_vm(project, "auto-1")
    keep_vm(project, "auto-2")
    selab("matrix")
    captured = capsys.readouterr()
    assert "2 VMs for the next time: auto-1, auto-2. `selab vm halt --matrix` stops them" in captured.err
    assert "next time" not in captured.out


def test_the_vms_of_other_workers_are_theirs(selab: Selab, project: Project, capsys: Capture) -> None:
    keep_vm(project, "auto-9")
    selab("matrix", "--scheduler", "tcp://x:1")
    assert "1 VM for the next time: auto-1 at 127.0.0.1. The workers have them." in capsys.readouterr().err


def test_a_vm_that_could_not_be_removed_is_named_with_the_reason(
    selab: Selab, outcome: dict[str, Any], project: Project, capsys: Capture
) -> None:
    keep_vm(project, "auto-1")
    outcome["removed"] = {"auto-1": "it is in use", "auto-2": ""}
    selab("matrix", "--destroy")
    text = capsys.readouterr().err
    assert "The VM auto-1 still exists: it is in use" in text
    assert "auto-2" not in text and "next time" not in text
