"""`selab watch`, without a VM: what each run is given."""

from __future__ import annotations

import json

import pytest

from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import Plan, Request, RunOptions
from selab.workflows import watch
from selab.workflows.watch import Watch
from tests.unit.obedient import ObedientGuest, StandingMachine


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
    monkeypatch.setattr(watch, "resume", resume)
    machine, hooks = StandingMachine(ObedientGuest()), RunOptions(before_steps=print)
    with pytest.raises(Enough):
        Watch(project, machine, Request("web"), hooks, Progress, lambda: None, ended).forever()
    assert [plan.options for plan in plans] == [RunOptions(print, installed=True)]
