"""Compare selab's advice with that of documentation and public answers: right, wrong, or no answer."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selab.advice.advise import Advice, advise
from selab.advice.knowledge import PolicyKnowledge
from selab.analysis.explain import causes_of
from selab.analysis.offline import candidate_of
from selab.container.label import runtime_file_type
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from tests.advice_table import need_of, outcome, situation_of

TABLE = Path(__file__).with_name("advice_table.toml")
ADVICE = Path(__file__).parents[2] / "docs" / "explanation" / "advice.md"


def answers(project: Project) -> list[tuple[dict[str, Any], Advice]]:
    """Return each row with selab's advice under the base policy of the project's last run."""
    candidate = candidate_of(project, [], Progress(), "Advice")
    expert = PolicyKnowledge.of(candidate.base, candidate.modules)
    rows = tomllib.loads(TABLE.read_text())["denial"]
    needs = [*map(need_of, range(1, len(rows) + 1), rows)]
    causes, answered = causes_of(candidate.linked, needs), []
    for row, need in zip(rows, needs, strict=True):
        situation = situation_of(row, runtime_file_type(candidate.base.directory / "contexts"))
        advised = advise([need], expert, causes, situation)
        answered += [(row, advice) for advice in advised]
    return answered


@pytest.fixture(scope="module")
def outcomes(project: Project, session_run: Callable[..., experiment.Run]) -> Counter[str]:
    session_run("apache", mode="permissive")
    return Counter(outcome(row, advice) for row, advice in answers(project))


def test_as_many_answers_are_right_as_the_documentation_says(outcomes: Counter[str]) -> None:
    documented = re.search(
        r"(\d+) denials: (\d+) right, (\d+) wrong, (\d+) without an answer; (\d+) are allowed",
        ADVICE.read_text(),
    )
    counted = (
        outcomes.total(),
        outcomes["right"],
        outcomes["wrong"],
        outcomes["no answer"],
        outcomes["allowed"],
    )
    assert documented and tuple(map(int, documented.groups())) == counted
