"""A matrix on two VMs and two workers has the results of the same runs on one VM, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rich.console import Console

from selab.cli.logfile import logging_to
from selab.history import Record
from selab.matrix.coordinate import Options, Outcome, run_matrix
from selab.matrix.model import Matrix
from selab.matrix.plan import exit_code
from selab.matrix.slots import home, with_vm
from selab.project import Project
from selab.report.matrix import MatrixWatcher
from selab.run.conversion import document_of
from selab.run.document import RunDocument
from selab.run.experiment import Run

pytestmark = pytest.mark.slow

MATRIX = Matrix.model_validate(
    {
        "scenarios": ["apache"],
        "policies": ["selab_apache_full", "selab_apache"],
        "modes": ["enforcing", "permissive"],
        "guests": [{"name": "small", "cpus": 1}],
        "expect": [{"policy": "selab_apache", "verdict": "fail"}],
    }
)


@dataclass(frozen=True)
class Both:
    outcome: Outcome
    one_by_one: list[RunDocument]


@pytest.fixture(scope="module")
def both(project: Project, request: pytest.FixtureRequest) -> Both:
    """Run the matrix first and remove its VMs: together with the other VM, there would be three at a time."""
    outcome = run_matrix(
        project, MATRIX, Options(workers=2, destroy=True), MatrixWatcher(Console(stderr=True)), logging_to
    )
    run: Callable[..., Run] = request.getfixturevalue("session_run")
    one_by_one = [
        document_of(run(ended.cell.scenario, policy=ended.cell.policy, mode=ended.cell.mode.value))
        for ended in outcome.ended
    ]
    return Both(outcome, one_by_one)


def pairs(both: Both) -> list[tuple[RunDocument, RunDocument]]:
    """Return each run of the matrix with the corresponding run on the one VM."""
    documents = [ended.result.document for ended in both.outcome.ended if isinstance(ended.result, Record)]
    return list(zip(documents, both.one_by_one, strict=True))


def test_every_run_took_place_on_two_vms(both: Both) -> None:
    assert [ended.reasons for ended in both.outcome.ended if not isinstance(ended.result, Record)] == []
    assert len(both.outcome.used) == 2


def test_the_verdicts_are_the_same(both: Both) -> None:
    reasons = [run.reasons for pair in pairs(both) for run in pair]
    assert [here.verdict for here, _ in pairs(both)] == [there.verdict for _, there in pairs(both)], reasons


def test_the_denials_are_the_same(both: Both) -> None:
    assert [here.keys for here, _ in pairs(both)] == [there.keys for _, there in pairs(both)]


def test_the_steps_have_the_same_results(both: Both) -> None:
    here, there = (
        [[step.ok for step in run.steps] for run in runs] for runs in zip(*pairs(both), strict=True)
    )
    assert here == there


def test_the_full_policy_passes_and_the_draft_fails_as_expected(both: Both) -> None:
    assert exit_code(both.outcome.ended) == 0


def test_the_vms_were_removed(both: Both, project: Project) -> None:
    assert set(both.outcome.removed.values()) == {""}
    assert with_vm(home(project)) == []
