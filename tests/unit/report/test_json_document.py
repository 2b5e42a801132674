"""JSON for programs: one run, several runs, or a matrix."""

from __future__ import annotations

import json

from selab.report.json_document import render
from tests.unit.documents import document, report
from tests.unit.matrix.fakes import ended


def test_one_run_is_the_document_that_the_run_prints() -> None:
    run = document()
    assert render(report(run)) == run.as_json() + "\n"


def test_several_runs_are_a_list_in_their_order() -> None:
    runs = [document(run=f"20261123-220000-000{number}") for number in (2, 1)]
    data = json.loads(render(report(*runs)))
    assert data == {"schema": 1, "runs": [json.loads(run.as_json()) for run in runs]}


def test_no_run_is_an_empty_list() -> None:
    assert json.loads(render(report())) == {"schema": 1, "runs": []}


def test_a_matrix_has_its_exit_code_and_every_cell() -> None:
    results = [ended(verdict="PASS"), ended(expected="FAIL", verdict="PASS"), ended()]
    data = json.loads(render(report(matrix=results)))
    assert (data["schema"], data["exit_code"]) == (1, 3)
    assert [(cell["verdict"], cell["expected"], cell["right"]) for cell in data["runs"]] == [
        ("PASS", "PASS", True),
        ("PASS", "FAIL", False),
        ("ERROR", "PASS", False),
    ]


def test_a_cell_without_a_run_says_why_and_has_none() -> None:
    cell = json.loads(render(report(matrix=[ended()])))["runs"][0]
    assert (cell["run"], cell["reasons"]) == (None, ["The VM did not come.", "a detail"])


def test_a_cells_run_is_its_document() -> None:
    result = ended(verdict="FAIL")
    cell = json.loads(render(report(matrix=[result])))["runs"][0]
    assert cell["run"] == json.loads(result.result.document.as_json())  # type: ignore[union-attr]
    assert (cell["scenario"], cell["policy"], cell["mode"], cell["guest"], cell["vm"]) == (
        "web",
        "full",
        "enforcing",
        "auto",
        "auto-1",
    )
