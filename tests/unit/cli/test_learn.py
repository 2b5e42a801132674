"""`selab learn`: its exit code, and when it writes the policy."""

from __future__ import annotations

from typing import Any

import pytest

from selab.project import Project
from selab.workflows.drafts import Change
from selab.workflows.learn import LearnResult
from tests.unit.documents import document

from .conftest import Selab

BEFORE, AFTER = "policy_module(web, 1.0)\n", "policy_module(web, 1.0)\nallow web_t self:fd use;\n"


@pytest.fixture(autouse=True)
def learned(project: Project, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fake the workflow and return the options that it gets; the last run passes by default."""
    (project.policies / "web.te").write_text(BEFORE)
    state: dict[str, Any] = {
        "fields": {"verdict": "PASS", "denials": [], "reasons": ["fine"], "run": runs[1]}
    }

    def learn(*words: object, **options: object) -> LearnResult:
        state["options"] = options
        return LearnResult((Change("web", BEFORE, AFTER),), (document(**state["fields"]),), ())

    monkeypatch.setattr("selab.workflows.learn.learn", learn)
    return state


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("ERROR", 3)])
def test_the_exit_code_is_that_of_the_last_run(
    selab: Selab, learned: dict[str, Any], verdict: str, code: int
) -> None:
    learned["fields"] |= {"verdict": verdict}
    assert selab("learn", "web", "--apply") == code


def test_the_policy_is_written_on_request(selab: Selab, project: Project) -> None:
    selab("learn", "web", "--apply")
    assert (project.policies / "web.te").read_text() == AFTER


def test_the_policy_is_not_written_unasked(selab: Selab, project: Project) -> None:
    selab("learn", "web")
    assert (project.policies / "web.te").read_text() == BEFORE


@pytest.mark.parametrize(("words", "risky"), [((), False), (("--allow-risky",), True)])
def test_dangerous_rules_are_opt_in(
    selab: Selab, learned: dict[str, Any], words: tuple[str, ...], risky: bool
) -> None:
    selab("learn", "web", "--apply", "--rounds", "3", *words)
    assert learned["options"] == {"rounds": 3, "risky": risky}
