"""The denials that a scenario expects."""

from __future__ import annotations

import pytest

from selab.project import Project
from tests.unit.scenario.written import refused


@pytest.mark.parametrize(
    "entry", ["{reason: no}", "{}", "{reason: why not, as: maybe}", "{reason: why, clas: x}"]
)
def test_an_entry_needs_a_reason_and_says_whether_the_denial_must_occur(project: Project, entry: str) -> None:
    refused(project, f"image: httpd\nexpect: {{denials: [{entry}]}}\n")
