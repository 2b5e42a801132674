"""Advice about the project's own runs: what is recorded, asked of the candidate as it is on disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from selab.advice.advise import Advice, Situation, Volume, advise, applicable
from selab.advice.block import block, cil, written_into
from selab.advice.denied_access import Need
from selab.advice.knowledge import Expert
from selab.analysis.offline import candidate_of
from selab.container.label import runtime_file_type
from selab.errors import InputError, SelabError
from selab.history import StoredRun
from selab.policy.base import BasePolicy
from selab.policy.guest.load import Mode
from selab.policy.query.decide import Access, Cause
from selab.policy.query.decide_subprocess import ask
from selab.progress import Progress
from selab.project import Project
from selab.run.document import DenialEntry
from selab.run.request import NO_POLICY
from selab.scenario import load_scenario
from selab.workflows.drafts import source


def counsel(project: Project, stored: StoredRun, progress: Progress) -> list[Advice]:
    """Advice for each row of the run's denials, then of the hidden ones, in the order in which the summary shows them."""
    run = stored.document
    candidate = candidate_of(project, run.policy, progress, "Advice")
    needs = [
        _need(number, denial, number > len(run.denials))
        for number, denial in enumerate((*run.denials, *run.hidden), 1)
    ]
    with progress.step("Asking the policy and its interfaces"):
        works = run.mode is Mode.ENFORCING and all(step.ok for step in run.steps)
        situation = Situation(
            run.label.type,
            _volumes(project, run.scenario),
            runtime_file_type(candidate.base.directory / "contexts"),
            works,
        )
        return advise(
            needs, Expert.of(candidate.base, candidate.modules), causes_of(candidate.linked, needs), situation
        )


class Study:
    """What advice has to know of a base policy, read in a thread while a run waits for its container: it takes a second."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def begin(self, base: BasePolicy) -> None:
        self._thread = threading.Thread(target=_study, args=(base,), daemon=True)
        self._thread.start()

    def advice(self, project: Project, stored: StoredRun, progress: Progress | None = None) -> list[Advice]:
        """Advice for a run's summary: none where there are no denials, or this machine cannot give any."""
        if not stored.document.denials and not stored.document.hidden:
            return []
        with (
            (progress or Progress()).step("Looking up what to do about the denials"),
            contextlib.suppress(SelabError),
        ):
            if self._thread:
                self._thread.join()
            return counsel(project, stored, Progress())
        return []


def _study(base: BasePolicy) -> None:
    with contextlib.suppress(SelabError):
        Expert.of(base, [])


def _need(number: int, denial: DenialEntry, hidden: bool) -> Need:
    asked = (denial.source, denial.target, denial.tclass, frozenset(denial.permissions))
    return Need(
        number, *asked, denial.comm, denial.path, denial.detail, denial.separated, hidden, denial.evidence
    )


def causes_of(policy: Path, needs: Sequence[Need]) -> dict[int, Cause]:
    """What stops each need, by libsepol: the first thing that stops any of its permissions between any of its contexts."""
    asked = {
        need.number: [
            Access(*pair, need.tclass, permission)
            for pair in need.contexts
            for permission in sorted(need.permissions)
        ]
        for need in needs
    }
    decided = {
        decision.access: decision for decision in ask(policy, list(dict.fromkeys(chain(*asked.values()))))
    }
    causes = {
        number: [decided[access].cause for access in accesses]
        for number, accesses in asked.items()
        if accesses
    }
    return {
        number: next((cause for cause in each if cause is not Cause.NONE), Cause.NONE)
        for number, each in causes.items()
    }


def _volumes(project: Project, scenario: str) -> tuple[Volume, ...]:
    """What the scenario mounts; nothing where it is gone since."""
    try:
        return tuple(
            Volume(volume.target, volume.guest_path or "")
            for volume in load_scenario(project, scenario).volumes
        )
    except InputError:
        return ()


def numbered(advice: Sequence[Advice], number: int | None) -> Iterator[Advice]:
    """The one with that number, or all. Raises InputError where there is none."""
    if number is not None and not 1 <= number <= len(advice):
        raise InputError(
            f"The run has no denial {number}.", f"It has {len(advice)}.", "`selab explain` shows all."
        )
    yield from (one for one in advice if number in (None, one.need.number))


@dataclass(frozen=True)
class Suggestion:
    """Rules for the candidate in the file `te`: `text` alone, and the file `before` and `after`; `left` are denials for a person.

    For a domain out of a block of CIL there is only the `text`, and no file.
    """

    te: Path | None
    text: str
    before: str
    after: str
    left: tuple[Advice, ...]


def suggestion(project: Project, stored: StoredRun, progress: Progress, *, risky: bool = False) -> Suggestion:
    """What the run's denials ask for. Raises InputError where the run had no candidate, or its .te cannot be extended."""
    policy, domain = stored.document.policy, stored.document.label.type
    if policy == NO_POLICY and "." not in domain:
        raise InputError(
            "The run had no candidate to write rules for.", stored.document.run, "Run it with --policy NAME."
        )
    advice = counsel(project, stored, progress)
    chosen = applicable(advice, risky=risky)
    mended = {one.need.key for one, _ in chosen}.union(*(remedy.covers for _, remedy in chosen))
    left = tuple(one for one in advice if one.need.key not in mended and not one.allowed_now)
    if "." in domain:
        return Suggestion(None, cil(chosen), "", "", left)
    te = project.policies / f"{policy}.te"
    before = source(te)
    return Suggestion(te, block(chosen), before, written_into(before, chosen), left)
