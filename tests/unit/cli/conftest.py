"""A project with a history for the commands that speak of earlier runs, and one whose guest is scripted."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from selab.__main__ import run
from selab.history import History
from selab.project import Project
from tests.unit.fakes import ReadyMachine, ScriptedGuest, keep_base
from tests.unit.test_history import finished

Selab = Callable[..., int]


@pytest.fixture
def selab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Selab:
    """Run a command in the project: selab("show", "last") returns its exit code."""
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    return lambda *words: run(["-C", str(project.root), *words])


@pytest.fixture
def runs(project: Project) -> list[str]:
    """The names of two runs of the scenario `web` in the project's history, the older first."""
    return [History.of(project).add(finished(number)).run for number in (1, 2)]


@pytest.fixture
def guest(project: Project, monkeypatch: pytest.MonkeyPatch) -> ScriptedGuest:
    """The project's guest, in which nothing is denied, and a scenario `web` to run there."""
    guest = ScriptedGuest()
    keep_base(project.root / "cache")
    monkeypatch.setattr("selab.vm.select.machine_of", lambda project: ReadyMachine(guest))
    monkeypatch.setattr("selab.analysis.explain.AdviceCache.begin", lambda cache, base: None)
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    scenario = {"image": "registry.test/x:1", "label": {"type": "web_t"}}
    (project.scenarios / "web.yaml").write_text(json.dumps(scenario))
    return guest
