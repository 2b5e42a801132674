"""What a report is made from."""

from __future__ import annotations

import pytest

from selab.report.model import ReportedRun
from tests.unit.documents import SEVERAL, document


@pytest.mark.parametrize(
    ("sources", "source", "file"),
    [
        ({"te": "a", "fc": "b"}, "a", "policies/web.te"),
        ({"cil": "c"}, "c", "policies/web.cil"),
        ({"cil": "c", "yaml": "y"}, "y", "policies/web.yaml"),
        ({}, "", "policies/web.te"),
    ],
)
def test_the_source_of_a_run_is_its_candidates_main_file(
    sources: dict[str, str], source: str, file: str
) -> None:
    (main,) = ReportedRun.of(document(), sources).sources
    assert (main.text, main.file) == (source, file)


def test_each_candidate_of_a_scenario_has_its_own_source() -> None:
    stored = {"web.te": "w", "web.fc": "c", "db.cil": "d"}
    sources = ReportedRun.of(document(**SEVERAL), stored).sources
    assert [(each.file, each.text) for each in sources] == [
        ("policies/web.te", "w"),
        ("policies/db.cil", "d"),
    ]


def test_a_denial_belongs_to_the_candidate_of_the_container_that_was_denied() -> None:
    run = document(**SEVERAL)
    reported = ReportedRun.of(run, {"web.te": "w", "db.te": "d"})
    assert [reported.source_of(denial).policy for denial in run.denials] == ["web", "db", "web"]


def test_a_run_without_a_candidate_has_no_source() -> None:
    reported = ReportedRun.of(document(policy="none"), {})
    assert (reported.sources, reported.source_of().file) == ((), "policies/none.te")
