"""Drafts of the user's policies: a copy to work on and to run, and the safe way to write the result back."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from selab.errors import InputError
from selab.history import History, resume
from selab.host.private import private_directory, remove, write_private
from selab.machine import Machine
from selab.policy.module import PolicyModule
from selab.policy.module_files import ENDINGS, main_file
from selab.policy.source_file import rewrite
from selab.policy.udica_policy import KIND
from selab.progress import Progress
from selab.project import Project, inside, new_policy_name
from selab.run import experiment
from selab.run.document import RunDocument
from selab.run.request import Request, make_plan


def drafts(project: Project, scenario: str) -> Project:
    """Return the project with a fresh copy of its policies to work on.

    Raises InputError if a policy is not a regular file inside the project.
    """
    copies = _drafts(project) / scenario
    remove(copies)
    private_directory(copies)
    for path in (path for ending in ENDINGS for path in project.policies.glob(f"*{ending}")):
        write_private(copies / path.name, _read(project, path))
    return replace(project, drafts=copies)


def _read(project: Project, path: Path) -> bytes:
    """Return the content of a policy's file. A link is followed only inside the project."""
    hint = "Replace it by a regular file in the project, or remove it."
    target = inside(project.root, path, f"The policy file {path.name}")
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"The policy file {path.name} cannot be copied.", str(error), hint) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"The policy file {path.name} is not a regular file.", str(path), hint)
        with open(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def _drafts(project: Project) -> Path:
    return project.own_directory("drafts")


@dataclass(frozen=True)
class Change:
    """What became of a candidate's file.

    policy: the candidate's name.
    before: the text of the user's file.
    after: the text of the finished draft.
    """

    policy: str
    before: str
    after: str


def candidates(project: Project, scenario: str, policy: str | None, doing: str) -> tuple[PolicyModule, ...]:
    """Return the candidate `policy`, or the scenario's. Raises InputError if it has none to `doing`."""
    modules = make_plan(project, Request(scenario, policy)).modules
    if not modules:
        command = f"selab new policy {new_policy_name(scenario)}"
        hint = f"Name one with --policy, or write a first one: `{command}`."
        raise InputError(f"There is no candidate to {doing}.", f"The scenario '{scenario}' has none.", hint)
    for module in modules:
        _require_text(module, doing)
    return modules


def _require_text(module: PolicyModule, doing: str) -> None:
    """Raise InputError if the file of the candidate is in YAML, into which selab writes no rules."""
    if not module.is_yaml:
        return
    what, hint = "SelinuxProfile", "Add the rules that `selab suggest` prints yourself."
    if module.yaml_kind == KIND:
        command = f"selab export {module.name} --as cil --unproven"
        what, hint = KIND, f"To add rules, replace it by the CIL that `{command}` writes."
    raise InputError(f"selab cannot {doing} a {what}.", str(module.path), hint)


def run_and_keep(project: Project, machine: Machine, request: Request, progress: Progress) -> RunDocument:
    """Run `request` with its own timings, resuming from earlier runs, and store the run in the history."""
    options = resume(project, request.scenario)
    run = experiment.run(project, machine, request, Progress(progress.listener), options)
    return History.of(project).add(run)


def write(project: Project, policy: str, before: str, after: str) -> Path | None:
    """Replace the user's file by the finished draft, and keep a copy of the old file beside it.

    Raises InputError as `rewrite` does.
    """
    file = main_file(project, policy)
    return rewrite(file, before, after, f"The draft is below {_drafts(project)}.")
