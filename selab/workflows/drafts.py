"""The user's policies: a copy to work on and to run, and the one way in which selab writes them, which loses nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from selab.analysis.offline import after_last_run
from selab.errors import InputError
from selab.history import History
from selab.host.local import Host
from selab.policy.module import PolicyModule
from selab.progress import Progress
from selab.project import Project
from selab.run import experiment
from selab.run.document import RunDocument
from selab.run.experiment import Machine
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


def source(te: Path) -> str:
    """A policy's text, of which every byte can be written back."""
    return te.read_bytes().decode("utf-8", "surrogateescape")


def put_source(te: Path, text: str) -> None:
    """Write a policy's text, byte for byte what `source` has read."""
    te.write_bytes(text.encode("utf-8", "surrogateescape"))


def write(project: Project, policy: str, before: str, after: str) -> Path | None:
    """Write what became of a draft in the place of the user's .te, and keep that beside it. Raises InputError as `rewrite`."""
    return rewrite(
        project.policies / f"{policy}.te", before, after, f"The draft is below {_drafts(project)}."
    )


def rewrite(te: Path, before: str, after: str, hint: str = "Ask again.") -> Path | None:
    """Write `after` in the place of `before`, which is kept beside it. None where there is nothing to change.

    Raises InputError where the file was changed in the meantime.
    """
    if source(te) != before:
        raise InputError("The policy was changed in the meantime.", str(te), hint)
    if after == before:
        return None
    backup = _free(te)
    put_source(backup, before)
    Host().put(after.encode("utf-8", "surrogateescape"), str(te), mode=te.stat().st_mode & 0o777)
    return backup


def _free(te: Path) -> Path:
    """A name beside `te` that nothing has yet: an earlier backup is somebody's only copy."""
    names = (te.with_name(f"{te.name}.bak{number or ''}") for number in range(10_000))
    return next(path for path in names if not path.exists())
