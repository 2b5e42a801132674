"""`selab run`: what its options request, its exit code, its document and its reports."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from selab.__main__ import run
from selab.errors import SelabError
from selab.history import History
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import Request, RunOptions
from selab.vm import select
from tests.unit.fakes import ScriptedGuest

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


def test_a_pass_ends_with_0_and_is_in_the_history(
    selab: Selab, guest: ScriptedGuest, project: Project
) -> None:
    assert selab("run", "web") == 0
    assert [stored.document.verdict.value for stored in History.of(project).latest(5)] == ["PASS"]


def test_a_fail_ends_with_1(selab: Selab, guest: ScriptedGuest) -> None:
    guest.answer("start", code=125, err="exec: permission denied\n")
    assert selab("run", "web") == 1


def test_an_error_ends_with_3(selab: Selab, guest: ScriptedGuest) -> None:
    guest.lost = 1
    assert selab("run", "web") == 3


def test_the_document_is_all_of_standard_output(selab: Selab, guest: ScriptedGuest, capsys: Capture) -> None:
    selab("run", "web", "--json")
    assert json.loads(capsys.readouterr().out)["verdict"] == "PASS"


@pytest.mark.parametrize(("word", "mode"), [("yes", "enforcing"), ("no", "permissive"), ("domain", "domain")])
def test_setenforce_is_the_mode(
    selab: Selab, guest: ScriptedGuest, capsys: Capture, word: str, mode: str
) -> None:
    selab("run", "web", "--json", "--setenforce", word)
    assert json.loads(capsys.readouterr().out)["mode"] == mode


@pytest.mark.parametrize(("keep", "last"), [((), "end"), (("--keep",), "keep")])
def test_a_container_stays_on_request(
    selab: Selab, guest: ScriptedGuest, keep: tuple[str, ...], last: str
) -> None:
    selab("run", "web", *keep)
    assert {"end", "keep"} & set(guest.scripts) == {last}


def test_the_reports_are_written(selab: Selab, guest: ScriptedGuest, project: Project) -> None:
    junit, sarif = project.root / "junit.xml", project.root / "selab.sarif"
    selab("run", "web", "--junit", str(junit), "--sarif", str(sarif))
    assert junit.read_text().startswith("<?xml")
    assert json.loads(sarif.read_text())["version"] == "2.1.0"


@pytest.mark.parametrize(("variable", "count"), [("true", 1), ("false", 0)])
def test_github_sees_the_reason_of_an_error(
    selab: Selab,
    guest: ScriptedGuest,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    count: int,
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", variable)
    guest.lost = 1
    selab("run", "web")
    assert capsys.readouterr().err.count("::error ") == count


def test_an_unknown_scenario_is_wrong_input(selab: Selab, guest: ScriptedGuest) -> None:
    assert selab("run", "nowhere") == 2
    assert guest.commands == []


Requester = Callable[..., tuple[Request, RunOptions]]


class Shell:
    """A machine of which the command only needs the shell."""

    def shell(self) -> None:
        raise AssertionError("the run is to open the shell, not the command")


@pytest.fixture
def requested(project: Project, monkeypatch: pytest.MonkeyPatch) -> Requester:
    """The request and the options that `selab run web` makes of its words: requested("--keep")."""
    seen: list[tuple[Request, RunOptions]] = []

    def record(
        _: Project, __: Machine, request: Request, ___: Progress, options: RunOptions, ____: object
    ) -> None:
        seen.append((request, options))
        raise SelabError("That is enough.")

    def requested(*words: str) -> tuple[Request, RunOptions]:
        run(["-C", str(project.root), "run", "web", *words])
        return seen[-1]

    monkeypatch.setattr(experiment, "run", record)
    monkeypatch.setattr(select, "machine_of", lambda _: Shell())
    return requested


def test_a_request_is_what_the_user_wrote(requested: Requester) -> None:
    request, _ = requested("--policy", "none", "--setenforce", "no", "--keep")
    assert request == Request("web", "none", Mode.PERMISSIVE, keep=True)


def test_the_shell_opens_after_the_steps(requested: Requester) -> None:
    _, options = requested("--shell")
    assert getattr(options.after_steps, "__name__", "") == "shell"


def test_advice_is_prepared_before_the_steps(requested: Requester) -> None:
    _, options = requested()
    assert (options.before_steps is None, options.after_steps) == (False, None)


def test_no_advice_is_prepared_for_programs(requested: Requester) -> None:
    _, options = requested("--json")
    assert options.before_steps is None
