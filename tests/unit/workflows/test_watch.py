"""Watching: which saved files start a scenario over, and what a run's end leads to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.errors import SelabError, Unreachable
from selab.guest import Guest
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import Plan, Request, RunOptions
from selab.workflows import watch as watching
from selab.workflows.watch import Watch
from tests.unit.fakes import ReadyMachine, ScriptedGuest


@pytest.fixture
def watch(project: Project) -> Watch:
    """A watched scenario `web` with the image `httpd`."""
    (project.scenarios / "web.yaml").write_text("image: httpd\n")
    (project.images / "httpd").mkdir()
    (project.images / "httpd" / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    (project.images / "httpd" / "packages").write_text("apache2\n")
    machine = ReadyMachine(ScriptedGuest())
    return Watch(project, machine, Request("web"), RunOptions(), Progress, lambda: None, lambda result: None)


@pytest.mark.parametrize(
    ("name", "concerns"),
    [
        ("policies/web.te", True),
        ("policies/other.fc", True),
        ("policies/web.te.bak", False),
        ("policies/.web.te.swp", False),
        ("scenarios/web.yaml", True),
        ("scenarios/other.yaml", False),
        ("images/httpd/Dockerfile", True),
        ("images/httpd/files/etc/x", True),
        ("images/redis/Dockerfile", False),
    ],
)
def test_a_saved_file_concerns_the_scenario_if_it_is_made_from_it(
    watch: Watch, name: str, concerns: bool
) -> None:
    assert watch._concerns(watch.project.root / name) is concerns


def test_the_image_of_a_broken_scenario_concerns_nothing(watch: Watch) -> None:
    (watch.project.scenarios / "web.yaml").write_text("{")
    assert not watch._concerns(watch.project.images / "httpd" / "Dockerfile")


@pytest.fixture
def guests(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> list[Guest]:
    """The guests in which runs were tried; the first run loses its connection."""
    tried: list[Guest] = []

    def run_on(guest: Guest, machine: object, project: Project, plan: Plan, progress: Progress) -> str:
        tried.append(guest)
        if len(tried) == 1:
            raise Unreachable("The connection broke.")
        return "a run"

    monkeypatch.setattr(experiment, "run_on", run_on)
    return tried


def test_a_run_whose_connection_broke_is_tried_once_more(watch: Watch, guests: list[Guest]) -> None:
    assert watch._run() == "a run"
    assert len(guests) == 2


def test_a_connection_serves_the_next_run(
    watch: Watch, guests: list[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Path] = []
    monkeypatch.setattr(watch.machine, "ensure", lambda progress: connected.append(Path()) or ScriptedGuest())
    for _ in range(3):
        watch._run()
    assert len(connected) == 2  # the first connection broke


def test_a_mistake_in_a_file_is_the_result(watch: Watch) -> None:
    (watch.project.scenarios / "web.yaml").write_text("imag: httpd\n")
    assert isinstance(watch._run(), SelabError)


class Enough(Exception):
    """Ends a watch after its first run."""


def test_each_run_has_the_hooks_and_resumes_from_the_runs_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.scenarios / "web.yaml").write_text(json.dumps({"image": "registry.test/x:1"}))
    plans: list[Plan] = []

    def run_on(guest: object, machine: object, _: Project, plan: Plan, progress: Progress) -> None:
        plans.append(plan)
        raise SelabError("The run failed.")

    def ended(_: object) -> None:
        raise Enough

    def resume(_: Project, scenario: str, options: RunOptions) -> RunOptions:
        return RunOptions(options.before_steps, installed=scenario == "web")

    monkeypatch.setattr(experiment, "run_on", run_on)
    monkeypatch.setattr(watching, "resume", resume)
    machine, hooks = ReadyMachine(ScriptedGuest()), RunOptions(before_steps=print)
    with pytest.raises(Enough):
        Watch(project, machine, Request("web"), hooks, Progress, lambda: None, ended).forever()
    assert [plan.options for plan in plans] == [RunOptions(print, installed=True)]
