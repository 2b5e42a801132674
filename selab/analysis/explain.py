"""`selab explain`: advice about a run's denials, given the candidate as it is on disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from selab.advice.advise import Advice, Situation, Volume, advise
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.analysis.offline import Candidate, candidate_of, on_its_guest
from selab.auditlog.denials import IOCTL
from selab.container.label import runtime_file_type
from selab.errors import InputError, SelabError
from selab.history import StoredRun
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.guest.load import Mode
from selab.policy.guest_templates import sources_of_templates
from selab.policy.interfaces import InterfaceTable
from selab.policy.query.decide import Access, Cause
from selab.policy.query.decide_subprocess import ask
from selab.progress import Progress
from selab.project import Project
from selab.run.document import ClassifiedDenialEntry, RunDocument
from selab.run.request import NO_POLICY
from selab.scenario.container import Volume as Mounted
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario


def explain(project: Project, stored: StoredRun, progress: Progress) -> list[Advice]:
    """Return advice for each row of the run's denials, then of its hidden denials, in the summary's order."""
    return [advice for advice, _ in explained(project, stored, progress)]


def explained(project: Project, stored: StoredRun, progress: Progress) -> list[tuple[Advice, str]]:
    """Return the advice that `explain` returns, each with the candidate that it is for, or `none`."""
    run = stored.document
    candidate = candidate_of(project, run.policies, progress, "Advice")
    needs = [
        _denied_access(number, denial, number > len(run.denials))
        for number, denial in enumerate((*run.denials, *run.hidden), 1)
    ]
    for module in candidate.modules:
        if module.source and module.source.name in run.policies:
            for sentence in sources_of_templates(module.source):
                progress.note(sentence)
    with progress.step("Asking the policy and its interfaces"):
        causes = causes_of(candidate.linked, needs)
        owners = _owners(run, candidate.modules)
        advice = [
            (each, policy)
            for policy in dict.fromkeys(owners)
            for each in advise(
                [need for need, owner in zip(needs, owners, strict=True) if owner == policy],
                _knowledge(project, candidate, policy, run),
                causes,
                _situation(project, candidate, policy, run),
            )
        ]
        return sorted(advice, key=lambda pair: pair[0].need.number)


def _owners(run: RunDocument, modules: Sequence[CompiledModule]) -> list[str]:
    """Return the candidate that each row of denials concerns, or `none`, in the order of the rows.

    It is the one that declares the source, or else the target; or else that of the container that was denied.
    """
    rows, policies = (*run.denials, *run.hidden), run.policies
    if len(policies) < 2:
        return [*(policies or (NO_POLICY,))] * len(rows)
    declaring = {name: each.name for each in modules if each.name in policies for name in each.types}
    of_container = {each.name: each.policy for each in run.containers}
    return [
        declaring.get(row.source)
        or declaring.get(row.target)
        or next((of_container[name] for name in row.containers), policies[0])
        for row in rows
    ]


def _knowledge(project: Project, candidate: Candidate, policy: str, run: RunDocument) -> PolicyKnowledge:
    def is_own(module: CompiledModule) -> bool:
        return module.source is not None and module.source.name == policy

    modules = sorted(candidate.modules, key=is_own)  # the candidate itself comes last
    knowledge = PolicyKnowledge.of(candidate.base, modules, project)
    if policy == NO_POLICY and "." in run.label.type:
        # A block of CIL cannot call interfaces.
        return replace(knowledge, table=InterfaceTable([]))
    return knowledge


def _situation(project: Project, candidate: Candidate, policy: str, run: RunDocument) -> Situation:
    own = [each for each in run.containers if each.policy == policy]
    return Situation(
        own[0].label.type if own else run.label.type,
        _volumes(project, run.scenario, [each.name for each in own] or [""]),
        runtime_file_type(candidate.base.directory / "contexts"),
        run.mode is Mode.ENFORCING and all(step.ok for step in run.steps),
    )


class AdviceCache:
    """What advice needs to know of a base policy, read in a thread while a run waits for its container."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def begin(self, base: BasePolicy) -> None:
        """Begin to read the base policy, which takes about a second."""
        self._thread = threading.Thread(target=_read_knowledge, args=(base,), daemon=True)
        self._thread.start()

    def advice(self, project: Project, stored: StoredRun, progress: Progress | None = None) -> list[Advice]:
        """Return advice for a run's summary, or nothing if there is none to give on this machine."""
        if not stored.document.denials and not stored.document.hidden:
            return []
        with (
            (progress or Progress()).step("Looking up what to do about the denials"),
            contextlib.suppress(SelabError),
        ):
            if self._thread:
                self._thread.join()
            return explain(on_its_guest(project), stored, Progress())
        return []


def _read_knowledge(base: BasePolicy) -> None:
    with contextlib.suppress(SelabError):
        PolicyKnowledge.of(base, [])


def _denied_access(number: int, denial: ClassifiedDenialEntry, hidden: bool) -> DeniedAccess:
    return DeniedAccess(
        number,
        denial.source,
        denial.target,
        denial.tclass,
        frozenset(denial.permissions),
        denial.comm,
        denial.path,
        denial.detail,
        denial.separated,
        hidden,
        denial.evidence,
        denial.ruling,
        sum(1 << command for command in denial.commands_of(IOCTL) if command is not None)
        if IOCTL in denial.permissions
        else 0,
    )


def causes_of(policy: Path, needs: Sequence[DeniedAccess]) -> dict[int, Cause]:
    """Return why libsepol denies each need: the cause of the first of its accesses that is denied."""
    requested = {
        need.number: [
            Access(*pair, need.tclass, permission, command)
            for pair in need.contexts
            for permission in sorted(need.permissions)
            for command in (need.numbers if permission == IOCTL else (None,))
        ]
        for need in needs
    }
    decided = {
        decision.access: decision for decision in ask(policy, list(dict.fromkeys(chain(*requested.values()))))
    }
    causes = {
        number: [decided[access].cause for access in accesses]
        for number, accesses in requested.items()
        if accesses
    }
    return {
        number: next((cause for cause in each if cause is not Cause.NONE), Cause.NONE)
        for number, each in causes.items()
    }


def _volumes(project: Project, name: str, titles: Sequence[str]) -> tuple[Volume, ...]:
    """Return what the containers `titles` of a scenario mount, or nothing if they no longer exist."""
    try:
        scenario = load_scenario(project, name)
    except InputError:
        return ()
    return tuple(
        Volume(volume.target, _guest_path(volume, scenario))
        for title in titles
        if title in scenario.members
        for volume in scenario.members[title].volumes
    )


def _guest_path(volume: Mounted, scenario: Scenario) -> str:
    """Return the directory of the guest that a volume mounts, or "" if it is a copy."""
    source = scenario.named_volumes[volume.name] if volume.name else volume
    return source.guest_path or ""


def numbered(advice: Sequence[Advice], number: int | None) -> Iterator[Advice]:
    """Yield the advice about the denial `number`, or all advice. Raises InputError for an unknown number."""
    if number is not None and not 1 <= number <= len(advice):
        detail = f"Its denials are numbered from 1 to {len(advice)}." if advice else "It has none."
        raise InputError(f"The run has no denial {number}.", detail, "`selab explain` shows all.")
    yield from (each for each in advice if number in (None, each.need.number))
