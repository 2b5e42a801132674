"""The user's policies: a copy to work on and to run, and the one way in which selab writes them, which loses nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from selab.analysis.offline import after_last_run
from selab.errors import InputError
from selab.history import History
from selab.machine import Machine
from selab.policy.module import PolicyModule
from selab.policy.source_file import rewrite
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.document import RunDocument
from selab.run.request import Request, plan


def drafts(project: Project, scenario: str) -> Project:
    """The project with a fresh copy of its policies to work on."""
    copies = _drafts(project) / scenario
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(parents=True)
    for path in (path for ending in ("te", "fc", "if") for path in project.policies.glob(f"*.{ending}")):
        shutil.copy(path, copies / path.name)
    return replace(project, drafts=copies)


def _drafts(project: Project) -> Path:
    return project.state / "drafts"


def candidate(project: Project, scenario: str, policy: str | None, doing: str) -> PolicyModule:
    """The candidate of a scenario, or `policy`. Raises InputError where it has none for `doing`, or what plan raises."""
    module = plan(project, Request(scenario, policy)).module
    if module is None:
        hint = f"Name one with --policy, or write one to begin with: `selab new policy {scenario}`."
        raise InputError(f"There is no candidate to {doing}.", f"The scenario '{scenario}' has none.", hint)
    return module


def run_and_keep(project: Project, machine: Machine, request: Request, progress: Progress) -> RunDocument:
    """Run `request` with what the runs before have left behind, timed by itself, and keep it in the history."""
    result = experiment.run(project, machine, after_last_run(project, request), Progress(progress.listener))
    return History.of(project).add(result)


def write(project: Project, policy: str, before: str, after: str) -> Path | None:
    """Write what became of a draft in the place of the user's .te, and keep that beside it. Raises InputError as `rewrite`."""
    return rewrite(
        project.policies / f"{policy}.te", before, after, f"The draft is below {_drafts(project)}."
    )
