"""`selab audit`: its exit code under --fail-on, and its document."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from selab.analysis.audit import PolicyAudit
from selab.policy.query.reach import Access, Addition
from selab.policy.query.risk import Level, Risk

from .conftest import Selab

Calls = list[tuple[Any, ...]]


@pytest.fixture
def additions() -> list[Addition]:
    """What the audited policy adds: a rule of medium risk."""
    return [Addition(Access("web_t", "etc_t", "file", ("write",)), Risk(Level.MEDIUM, "it changes settings"))]


@pytest.fixture(autouse=True)
def calls(additions: list[Addition], monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls: Calls = []

    def audit(project: object, policy: str, progress: object, against: str) -> PolicyAudit:
        calls.append((policy, against))
        return PolicyAudit(policy, ("web_t",), tuple(additions), ())

    monkeypatch.setattr("selab.analysis.audit.audit", audit)
    return calls


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("medium", 1), ("high", 0)])
def test_an_addition_of_that_risk_or_a_higher_one_fails(selab: Selab, level: str, code: int) -> None:
    assert selab("audit", "web", "--fail-on", level) == code


def test_without_a_limit_no_risk_fails(selab: Selab) -> None:
    assert selab("audit", "web") == 0


def test_a_policy_that_adds_nothing_has_no_risk(selab: Selab, additions: list[Addition]) -> None:
    additions.clear()
    assert selab("audit", "web", "--fail-on", "low") == 0


def test_what_a_template_grants_has_no_effect_on_the_exit_code(
    selab: Selab, additions: list[Addition]
) -> None:
    additions[:] = [replace(additions[0], by_template=True)]
    assert selab("audit", "web", "--fail-on", "low") == 0


def test_the_other_version_is_passed_on_and_marks_additions(
    selab: Selab, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    selab("audit", "web", "--against", "HEAD~1")
    assert calls == [("web", "HEAD~1")]
    assert "medium + web_t etc_t:file write" in capsys.readouterr().out


def test_the_document_is_all_of_standard_output_and_the_code_stays(
    selab: Selab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selab("audit", "web", "--json", "--fail-on", "low") == 1
    assert json.loads(capsys.readouterr().out)["additions"][0]["risk"] == "medium"
