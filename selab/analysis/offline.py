"""The candidate as it is on disk, compiled and linked without a VM, and asked about recorded denials."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from selab.analysis.existing_host import base_of_host
from selab.errors import InputError, SelabError
from selab.history import History, base_of_last_run, fingerprint_of_last_run
from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, known_base, newest_base
from selab.policy.candidate import compiled_all, declared_types, linked, linked_file
from selab.policy.compile import CompiledModule
from selab.policy.known_bases import chosen_base, imported_base, modules_of, origin
from selab.policy.module import load_module
from selab.policy.on_base import on_base
from selab.policy.query.decide import Cause, Decision
from selab.policy.survey import stored_facts
from selab.policy.toolchain import host_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run.replay import Recorded, Replay, accesses, key_of, replay
from selab.run.request import NO_POLICY
from selab.scenario.load import scenario_names

Names = list[str] | tuple[str, ...]
"""Names of candidates. A type such as Sequence[str] would also accept a single name."""


def records_of(project: Project, name: str, policy: str | None) -> tuple[Recorded, tuple[str, ...]]:
    """Return the records of a run or of a log file, and the names of the candidates to ask about them.

    A log file is taken to be about the domain of the candidate `policy`.
    """
    path = Path(name)
    if path.is_file():
        if policy is None:
            raise InputError("A log does not name a candidate.", str(path), "Name one with --policy.")
        return Recorded(path.read_bytes().splitlines(), load_module(project, policy).domain), (policy,)
    stored = History.of(project).find(name)
    named = stored.document.policies if policy is None else (policy,)
    chosen = tuple(name for name in named if name != NO_POLICY)
    if not chosen:
        raise InputError("The run had no candidate.", stored.document.run, "Name one with --policy.")
    return stored.recorded, chosen


def replay_offline(
    project: Project, records: Recorded, policies: Names, progress: Progress, *, names: bool = False
) -> Replay:
    """Link the candidates `policies`, and ask the result about the recorded accesses of their domains.

    Denials of the rest of the machine are left out, and `progress` notes how many a log file has.
    `names`: also find the names of the booleans that would allow an access, which takes seconds.
    """
    candidate = candidate_of(project, policies, progress, "Replay")
    own_types = declared_types(candidate.modules)
    with progress.step("Asking what it would decide" + (", and for the booleans" if names else "")):
        domain = load_module(project, policies[0]).domain
        requested, rulings = records.accesses_of(domain, own_types), records.rulings_for(domain)
        if not records.level:
            _note_others(records, own_types, progress)
        return replay(candidate.linked, requested, rulings, booleans=True, names=names)


def _note_others(records: Recorded, own_types: frozenset[str], progress: Progress) -> None:
    every, own = (
        frozenset(Decision(access, Cause.UNKNOWN) for access in listed)
        for listed in (accesses(records.lines), records.accesses_of(records.domain, own_types))
    )
    count = len({key_of(decision) for decision in every - own})
    if count:
        kind = "denial" if count == 1 else "denials"
        progress.note(f"Not counted: {count} {kind} of other processes in the log.")


@dataclass(frozen=True)
class Candidate:
    """The candidates as they are on disk.

    base: the base policy that answers for the project.
    modules: the candidates and the modules that they require, as CIL.
    linked: the file with the kernel policy that links them.
    """

    base: BasePolicy
    modules: list[CompiledModule]
    linked: Path


def candidate_of(project: Project, policies: Names, progress: Progress, doing: str) -> Candidate:
    """Compile and link the candidates `policies`, or the base policy alone, for the purpose `doing`.

    Raises SelabError if this machine lacks the tools.
    """
    modules = [load_module(project, name) for name in policies]
    base = last_base(project, progress, {name for module in modules for name in module.replaced})
    modules = [on_base(module, base) for module in modules]
    tools = host_toolchain(project.own_directory("policy"), doing, base.demands)
    with progress.step("Compiling and linking the candidate"):
        compiled = compiled_all(modules, base, tools, project.own_directory("compiled"))
        return Candidate(base, compiled, linked_file(tools, linked(base, compiled, tools).digest))


def last_base(project: Project, progress: Progress, names: Collection[str] = ()) -> BasePolicy:
    """Return the base policy that `find_base` finds. Raises SelabError if there is none.

    `progress` notes modules that it lacks although they are in force with the candidate, or has although the
    candidate replaces them.
    """
    if base := find_base(project, progress, names):
        for name in sorted({*base.facts.replaced} - {*names}):
            progress.note(f"The base policy lacks the guest's own module '{name}', which a run replaced.")
        for name in sorted({*modules_of(base)} & {*names}):
            progress.note(f"The base policy has a module '{name}' too, which a run of this policy replaces.")
        return base
    scenario = next(iter(scenario_names(project)), "SCENARIO")
    raise SelabError(
        "No base policy is known yet.",
        "selab reads it from the guest during a run.",
        f"Run a scenario first: `selab run {scenario}`. Without a VM: `selab base import FILE`.",
    )


def find_base(project: Project, progress: Progress, names: Collection[str] = ()) -> BasePolicy | None:
    """Return the base policy that answers for the project, or None if no base policy is known.

    It is the one that `vm.base` names, or else that of the project's last run, or else that of the existing
    host that selab.yaml names, or else the newest one in the cache. `progress` notes which it is, unless
    selab read it from this project's own guest. Raises InputError if `vm.base` names none or several.
    `names`: the modules of the candidate that the question is about, which may replace modules of the guest.
    """
    cache = cache_dir()
    if selector := project.config.vm.base:
        base = chosen_base(selector, cache, "vm.base in selab.yaml")
        progress.note(f"vm.base in selab.yaml names the base policy: {origin(base)}{_imported(base)}.")
        return base
    if own := base_of_last_run(project):
        return base_for(project, own, names) or own
    if imported := imported_base(fingerprint_of_last_run(project), cache):
        progress.note(f"The base policy of the last run is used: {origin(imported)}{_imported(imported)}.")
        return imported
    if of_host := base_of_host(project, progress):
        return of_host
    if newest := newest_base(cache):
        whose = "an imported one" if newest.imported else "that of another project's last run"
        progress.note(f"This project's own base policy is unknown, so {whose} is used: {origin(newest)}.")
        return newest
    return None


def base_for(project: Project, base: BasePolicy, names: Collection[str]) -> BasePolicy | None:
    """Return `base`, or another one of the project's guest, without the modules `names` but with all others.

    A run reads the base policy without the modules of the guest that its candidate replaces. Two base
    policies stand for each other if they have the same modules apart from these. The result is None if none
    is known.
    """
    others = (
        known_base(facts.fingerprint, cache_dir(), project.store) for facts in stored_facts(project.store)
    )
    varying = {*base.facts.replaced, *names}
    constant = {*modules_of(base)} - varying
    for each in chain([base], others):
        if each and {*each.facts.replaced} <= {*names}:
            modules = {*modules_of(each)}
            if modules.isdisjoint(names) and modules - varying == constant:
                return each
    return None


def _imported(base: BasePolicy) -> str:
    return ", imported from a file" if base.imported else ""


def on_its_guest(project: Project) -> Project:
    """Return the project without `vm.base`, for questions about a run that its own guest has just done."""
    vm = project.config.vm.model_copy(update={"base": ""})
    return replace(project, config=project.config.model_copy(update={"vm": vm}))
