"""`selab history` lists runs, the newest first."""

from __future__ import annotations

import pytest

from selab.history import History, Record
from selab.project import Project
from tests.unit.documents import CLASSIFIED, document
from tests.unit.test_history import finished

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


def listed(capsys: Capture) -> list[str]:
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


def test_the_newest_run_is_first(selab: Selab, runs: list[str], capsys: Capture) -> None:
    assert selab("history") == 0
    assert listed(capsys) == runs[::-1]


def test_the_number_of_runs_is_limited(selab: Selab, runs: list[str], capsys: Capture) -> None:
    selab("history", "--limit", "1")
    assert listed(capsys) == runs[1:]


def test_a_scenario_has_its_own_runs(
    selab: Selab, runs: list[str], project: Project, capsys: Capture
) -> None:
    other = History.of(project).add(finished(3, "db"))
    selab("history", "db")
    assert listed(capsys) == [other.run]


def test_a_row_has_the_verdict_and_the_number_of_denials(
    selab: Selab, runs: list[str], capsys: Capture
) -> None:
    selab("history")
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["1", "FAIL"]


def test_a_project_without_runs_has_no_table(selab: Selab, capsys: Capture) -> None:
    assert selab("history") == 0
    assert "selab run SCENARIO" in capsys.readouterr().out


def test_a_row_has_the_number_of_unexpected_denials(selab: Selab, project: Project, capsys: Capture) -> None:
    History.of(project).keep(Record(document(**CLASSIFIED), {}, {}, b""))
    selab("history")
    assert capsys.readouterr().out.splitlines()[1].split()[-3:] == ["3", "1", "FAIL"]
