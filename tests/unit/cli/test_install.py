"""`selab install`: which scenario proves the policy, and that its verdict is the exit code."""

from __future__ import annotations

import dataclasses

import pytest

from selab.history import History
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from tests.unit.test_history import finished

from .conftest import Selab

Calls = list[tuple[str, str]]


@pytest.fixture
def verdicts() -> list[Verdict]:
    """The verdict of the run that proves the policy."""
    return [Verdict.PASS]


@pytest.fixture(autouse=True)
def calls(project: Project, verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The policies that were installed, each with the scenario of its proof."""
    calls: Calls = []

    def install(project: object, machine: object, policy: str, scenario: str, progress: object) -> Run:
        calls.append((policy, scenario))
        return dataclasses.replace(finished(1, scenario), verdict=verdicts[0])

    monkeypatch.setattr("selab.workflows.install.install", install)
    for name, policy in {"page": "web", "other": "mail"}.items():
        (project.scenarios / f"{name}.yaml").write_text(f"image: x:y\npolicy: {policy}\n")
    return calls


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("ERROR", 3)])
def test_the_verdict_is_the_exit_code_and_the_policy_stays(
    selab: Selab,
    verdicts: list[Verdict],
    capsys: pytest.CaptureFixture[str],
    verdict: str,
    code: int,
) -> None:
    verdicts[0] = Verdict(verdict)
    assert selab("install", "web") == code
    assert "web is installed. Remove it with `selab uninstall web`." in capsys.readouterr().out


@pytest.mark.parametrize(("words", "scenario"), [((), "page"), (("--scenario", "other"), "other")])
def test_the_scenario_is_the_named_one_or_the_only_one(
    selab: Selab, calls: Calls, words: tuple[str, ...], scenario: str
) -> None:
    selab("install", "web", *words)
    assert calls == [("web", scenario)]


def test_a_policy_without_a_scenario_is_not_installed(selab: Selab, calls: Calls) -> None:
    assert selab("install", "app") == 2
    assert calls == []


def test_the_run_is_in_the_history(selab: Selab, project: Project) -> None:
    selab("install", "web")
    assert [stored.document.scenario for stored in History.of(project).latest(5)] == ["page"]
