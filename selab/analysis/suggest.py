"""`selab suggest`: the rules that a run's denials require, as text for the candidate's source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selab.advice.advise import Advice, applicable
from selab.advice.block import block, cil, inserted_into
from selab.analysis.explain import explain
from selab.errors import InputError
from selab.history import StoredRun
from selab.policy.source_file import source
from selab.progress import Progress
from selab.project import Project
from selab.run.request import NO_POLICY


@dataclass(frozen=True)
class Suggestion:
    """Rules for a candidate. For a domain in a block of CIL there is only the `text`.

    te: the candidate's .te file, or None.
    text: the rules alone.
    before: the text of the file.
    after: the text of the file with the rules.
    left: advice about the denials that selab leaves to the user.
    settled: advice about the denials that the scenario tolerates or expects, which get no rule.
    """

    te: Path | None
    text: str
    before: str
    after: str
    left: tuple[Advice, ...]
    settled: tuple[Advice, ...] = ()


def suggestion(project: Project, stored: StoredRun, progress: Progress, *, risky: bool = False) -> Suggestion:
    """Return the rules that the run's denials require.

    A denial that an entry of the scenario tolerates or expects gets no rule.
    `risky`: also include dangerous rules. Raises InputError if the run had no candidate, or if its .te file
    cannot be extended.
    """
    policy, domain = stored.document.policy, stored.document.label.type
    if policy == NO_POLICY and "." not in domain:
        what = "The run had no candidate to write rules for."
        raise InputError(what, stored.document.run, "Run it with --policy NAME.")
    every = explain(project, stored, progress)
    settled = tuple(each for each in every if each.settled)
    advice = [each for each in every if not each.settled]
    chosen = applicable(advice, risky=risky)
    covered = {each.need.key for each, _ in chosen}.union(*(remedy.covers for _, remedy in chosen))
    left = tuple(each for each in advice if each.need.key not in covered and not each.allowed_now)
    if "." in domain:
        return Suggestion(None, cil(chosen), "", "", left, settled)
    te = project.policies / f"{policy}.te"
    before = source(te)
    return Suggestion(te, block(chosen), before, inserted_into(before, chosen), left, settled)
