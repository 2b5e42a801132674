"""Learning, without a VM: what a round is given."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from selab.errors import SelabError
from selab.policy.module import load_module
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.request import Request, RunOptions
from selab.workflows.learn import learn


def test_a_round_is_timed_by_itself(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    given, timed = Progress(), []

    def run(drafting: Project, machine: object, request: Request, progress: Progress, _: RunOptions) -> None:
        timed.append(dict(progress.timings))
        raise SelabError("That is enough.")

    monkeypatch.setattr(
        "selab.workflows.drafts.make_plan", lambda *_: SimpleNamespace(module=load_module(project, "web"))
    )
    monkeypatch.setattr(experiment, "run", run)
    with given.step("Starting the container of an earlier round", "container"):
        pass
    with pytest.raises(SelabError, match="enough"):
        learn(project, None, "web", None, given)  # type: ignore[arg-type]
    assert timed == [{}]
