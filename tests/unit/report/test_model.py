"""What a report is made from."""

from __future__ import annotations

import pytest

from selab.report.model import ReportedRun
from tests.unit.documents import document


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
    reported = ReportedRun.of(document(), sources)
    assert (reported.source, reported.file) == (source, file)
