"""The candidate as it is on disk, compiled and linked without a VM, and asked about recorded denials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.history import History, base_of_last_run
from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, newest_base
from selab.policy.candidate import compiled_all, linked, linked_file
from selab.policy.compile import CompiledModule
from selab.policy.macros import build_options
from selab.policy.module import load_module
from selab.policy.toolchain import host_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run.replay import Recorded, Replay, replay
from selab.run.request import NO_POLICY
from selab.scenario import scenario_names


def records_of(project: Project, name: str, policy: str | None) -> tuple[Recorded, str]:
    """Return the records of a run or of a log file, and the candidate to ask about them.

    A log file is taken to be about the domain NAME_t of the candidate `policy`.
    """
    path = Path(name)
    if path.is_file():
        if policy is None:
            raise InputError("A log does not name a candidate.", str(path), "Name one with --policy.")
        return Recorded(path.read_bytes().splitlines(), f"{policy}_t"), policy
    stored = History.of(project).find(name)
    chosen = policy or stored.document.policy
    if chosen == NO_POLICY:
        raise InputError("The run had no candidate.", stored.document.run, "Name one with --policy.")
    return stored.recorded, chosen


def replay_offline(
    project: Project, records: Recorded, policy: str, progress: Progress, *, names: bool = False
) -> Replay:
    """Link the candidate `policy`, and ask it about the recorded accesses of its domain NAME_t.

    `names`: also find the names of the booleans that would allow an access, which takes seconds.
    """
    candidate = candidate_of(project, policy, progress, "Replay")
    with progress.step("Asking what it would decide" + (", and for the booleans" if names else "")):
        domain = f"{policy}_t"
        accesses, rulings = records.accesses_of(domain), records.rulings_for(domain)
        return replay(candidate.linked, accesses, rulings, booleans=True, names=names)


@dataclass(frozen=True)
class Candidate:
    """A candidate as it is on disk.

    base: the base policy of the project's last run.
    modules: the candidate and the modules that it requires, as CIL.
    linked: the file with the kernel policy that links them.
    """

    base: BasePolicy
    modules: list[CompiledModule]
    linked: Path


def candidate_of(project: Project, policy: str, progress: Progress, doing: str) -> Candidate:
    """Compile and link the candidate `policy`, or `none`, for the purpose `doing`.

    Raises SelabError if this machine lacks the tools.
    """
    base = last_base(project, progress)
    tools = host_toolchain(project.own_directory("policy"), doing, base.demands)
    module = None if policy == NO_POLICY else load_module(project, policy)
    with progress.step("Compiling and linking the candidate"):
        modules = compiled_all(module, base, tools, project.own_directory("compiled")) if module else []
        return Candidate(base, modules, linked_file(tools, linked(base, modules, tools).digest))


def last_base(project: Project, progress: Progress) -> BasePolicy:
    """Return the base policy that `find_base` finds. Raises SelabError if there is none."""
    if base := find_base(project, progress):
        return base
    scenario = next(iter(scenario_names(project)), "SCENARIO")
    raise SelabError(
        "No base policy is known yet.",
        "selab reads it from the guest during a run.",
        f"Run a scenario first: `selab run {scenario}`.",
    )


def find_base(project: Project, progress: Progress) -> BasePolicy | None:
    """Return the base policy of the project's last run, or else of any project's last run, and note that."""
    base = base_of_last_run(project)
    if base is None and (base := newest_base(cache_dir())):
        progress.note(
            "This project's own base policy is unknown, so that of another project's last run is used: "
            f"{_origin(base)}."
        )
    return base


def _origin(base: BasePolicy) -> str:
    """Return the distribution, version and name of a base policy, as far as they are known."""
    prefix = "distro_"
    built_for = (
        definition.removeprefix(prefix)
        for definition in build_options(base.headers).definitions
        if definition.startswith(prefix)
    )
    system = base.facts.system or f"{next(built_for, 'an unknown distribution')}, of unknown version"
    return f"{system}, policy '{base.facts.selinux_type}' ({base.facts.fingerprint[:12]})"
