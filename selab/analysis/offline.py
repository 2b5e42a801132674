"""Replay of the project's own runs, or of any log, against a candidate as it is on disk: what is recorded, compiled and linked for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.history import History, StoredRun
from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, known_base, newest_base
from selab.policy.candidate import compiled_all, linked, linked_file
from selab.policy.compile import CompiledModule
from selab.policy.module import load_module
from selab.policy.toolchain import host_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run.replay import Recorded, Replay, replay
from selab.run.request import NO_POLICY, Request
from selab.scenario import scenario_names


def records_of(project: Project, name: str, policy: str | None) -> tuple[Recorded, str]:
    """The records of a run or of a file (which speaks of the candidate's own domain), and the candidate to ask."""
    path = Path(name)
    if path.is_file():
        if policy is None:
            raise InputError(
                "A log does not say which candidate to ask.", str(path), "Name one with --policy."
            )
        return Recorded(path.read_bytes().splitlines(), f"{policy}_t"), policy
    stored = History.of(project).find(name)
    chosen = policy or stored.document.policy
    if chosen == NO_POLICY:
        raise InputError("The run had no candidate.", stored.document.run, "Name one with --policy.")
    return recorded(stored), chosen


def recorded(stored: StoredRun) -> Recorded:
    """What a run out of the history has recorded."""
    return Recorded(stored.records, stored.document.label.type)


def replay_offline(
    project: Project, records: Recorded, policy: str, progress: Progress, *, names: bool = False
) -> Replay:
    """Link the candidate `policy` with the base policy of the project's last run, and ask it for its own domain, NAME_t.

    `names`: look for the booleans that would allow something by name, which takes seconds.
    """
    asked = candidate_of(project, policy, progress, "Replay")
    with progress.step("Asking what it would decide" + (", and for the booleans" if names else "")):
        return replay(asked.linked, records.asked_for(f"{policy}_t"), booleans=True, names=names)


@dataclass(frozen=True)
class Candidate:
    """A candidate as it is on disk, compiled and linked with the base policy of the project's last run."""

    base: BasePolicy
    modules: list[CompiledModule]
    linked: Path


def candidate_of(project: Project, policy: str, progress: Progress, doing: str) -> Candidate:
    """Compile and link the candidate `policy` (or none) for `doing`. Raises SelabError where this machine lacks the tools."""
    base = last_base(project, progress)
    tools = host_toolchain(project.state / "policy", doing, base.demands)
    module = None if policy == NO_POLICY else load_module(project, policy)
    with progress.step("Compiling and linking the candidate"):
        modules = compiled_all(module, base, tools, project.state / "compiled") if module else []
        return Candidate(base, modules, linked_file(tools, linked(base, modules, tools).digest))


def last_base(project: Project, progress: Progress) -> BasePolicy:
    """The base policy that `find_base` finds. Raises SelabError where there is none."""
    if base := find_base(project, progress):
        return base
    scenario = next(iter(scenario_names(project)), "SCENARIO")
    raise SelabError(
        "No base policy is known yet.",
        "It is read from the guest.",
        f"Run a scenario first: `selab run {scenario}`.",
    )


def find_base(project: Project, progress: Progress) -> BasePolicy | None:
    """The base policy of the project's last run, or else of the last run of any project, which it says."""
    base = _last_base(project)
    if base is None and (base := newest_base(cache_dir())):
        progress.note(
            "This project has had no run yet: the base policy is that of another project's last guest."
        )
    return base


def _last_base(project: Project) -> BasePolicy | None:
    runs = History.of(project).latest(1)
    return known_base(runs[0].document.base, cache_dir(), project.store) if runs else None


def after_last_run(project: Project, request: Request) -> Request:
    """`request` with what the project's runs have left behind: the records of the scenario's last one, and the last one's base policy."""
    last = History.of(project).latest(1, request.scenario)
    return replace(request, before=recorded(last[0]) if last else None, base=_last_base(project))
