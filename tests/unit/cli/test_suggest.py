"""`selab suggest` prints rules, or writes them on request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.advice.advise import Advice
from selab.analysis.suggest import Suggestion
from selab.auditlog.classification import Classification, Ruling
from selab.policy.query.decide import Cause
from selab.project import Project
from tests.unit.advice.conftest import need

from .conftest import Selab

Capture = pytest.CaptureFixture[str]
BEFORE, RULE = "policy_module(web, 1.0)\n", "allow web_t etc_t:file read;"
TOLERATED = Ruling(Classification.TOLERATED, "* -> proc_t:* { * }", "harmless")
SETTLED = Advice(need("web_t", "proc_t", "file", "read", ruling=TOLERATED), "no rule", Cause.RULE, ())
LEFT = Advice(need("web_t", "shadow_t", "file", "read"), "no rule", Cause.RULE, ())


@pytest.fixture(autouse=True)
def te(project: Project, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The policy for which one rule is suggested; one denial is left for a person."""
    path = project.policies / "web.te"
    path.write_text(BEFORE)
    proposal = Suggestion(path, f"{RULE}\n", BEFORE, f"{BEFORE}{RULE}\n", (LEFT,), (SETTLED,))
    monkeypatch.setattr("selab.analysis.suggest.suggestions", lambda *words, **options: [proposal])
    return path


def test_the_rules_are_printed_and_nothing_is_written(selab: Selab, te: Path, capsys: Capture) -> None:
    assert selab("suggest") == 0
    assert capsys.readouterr().out.startswith(f"{RULE}\n")
    assert te.read_text() == BEFORE


def test_the_denials_for_a_person_are_listed(selab: Selab, capsys: Capture) -> None:
    selab("suggest")
    assert "shadow_t" in capsys.readouterr().out


def test_the_rules_are_written_on_request(selab: Selab, te: Path) -> None:
    assert selab("suggest", "--apply") == 0
    assert te.read_text() == f"{BEFORE}{RULE}\n"
    assert te.with_name("web.te.bak").read_text() == BEFORE


def test_a_difference_is_shown_and_not_written(selab: Selab, te: Path, capsys: Capture) -> None:
    selab("suggest", "--diff")
    assert f"+{RULE}" in capsys.readouterr().out.splitlines()
    assert te.read_text() == BEFORE


def test_json_has_the_rules_and_the_denials_that_are_left(selab: Selab, capsys: Capture) -> None:
    selab("suggest", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["policy"], data["rules"]) == ("web.te", f"{RULE}\n")
    assert ["shadow_t" in entry["denial"] for entry in data["left"]] == [True]


def test_a_policy_that_was_changed_meanwhile_is_not_written(selab: Selab, te: Path) -> None:
    te.write_text("changed")
    assert selab("suggest", "--apply") == 2
    assert te.read_text() == "changed"


def test_the_denials_that_the_scenario_settles_are_listed_with_the_reason(
    selab: Selab, capsys: Capture
) -> None:
    selab("suggest")
    out = capsys.readouterr().out
    assert "no rule: web_t proc_t:file read: tolerated by * -> proc_t:* { * }: harmless" in out


def test_json_has_the_denials_that_the_scenario_settles(selab: Selab, capsys: Capture) -> None:
    selab("suggest", "--json")
    (entry,) = json.loads(capsys.readouterr().out)["settled"]
    assert (entry["denial"], entry["classification"], entry["reason"]) == (
        "web_t proc_t:file read",
        "tolerated",
        "harmless",
    )
