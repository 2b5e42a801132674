"""`selab check`: its exit code, and its document."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from selab.analysis.check import CheckResult
from selab.policy.lint import Finding, Severity
from selab.project import Project

from .conftest import Selab

Requested = list[Sequence[str]]


@pytest.fixture
def severities() -> list[Severity]:
    return [Severity.NOTE, Severity.WARNING]


@pytest.fixture(autouse=True)
def requested(project: Project, severities: list[Severity], monkeypatch: pytest.MonkeyPatch) -> Requested:
    """The policies that were to be checked, for each check. Each check has a finding of each severity."""
    requested: Requested = []

    def check(project: Project, names: Sequence[str], progress: object) -> CheckResult:
        requested.append(names)
        te = project.policies / "web.te"
        return CheckResult({"web": tuple(Finding(te, 1, each, "id", "text") for each in severities)}, ())

    monkeypatch.setattr("selab.analysis.check.check", check)
    return requested


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_only_an_error_fails(selab: Selab, severities: list[Severity], output: tuple[str, ...]) -> None:
    assert selab("check", *output) == 0
    severities.append(Severity.ERROR)
    assert selab("check", *output) == 1


@pytest.mark.parametrize("names", [(), ("web", "app")])
def test_the_named_policies_are_checked(selab: Selab, requested: Requested, names: tuple[str, ...]) -> None:
    selab("check", *names)
    assert requested == [names]


def test_a_file_is_named_relative_to_the_current_directory(
    selab: Selab, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.policies)
    selab("check")
    assert capsys.readouterr().out.startswith("web.te:1: note: text [id]")
    selab("check", "--json")
    assert json.loads(capsys.readouterr().out)["findings"][0]["file"] == "web.te"
