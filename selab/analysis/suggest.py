"""`selab suggest`: the rules that a run's denials require, as text for the candidate's source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.advice import cil_block
from selab.advice.advise import Advice, applicable
from selab.advice.block import block, inserted_into
from selab.analysis.explain import explained
from selab.errors import InputError
from selab.history import StoredRun
from selab.policy.module import load_module
from selab.policy.source_file import source
from selab.progress import Progress
from selab.project import Project
from selab.run.request import NO_POLICY


@dataclass(frozen=True)
class Suggestion:
    """Rules for a candidate.

    There is only the `text` for a domain in a block of CIL without a candidate, and for a policy in YAML.

    file: the candidate's .te or .cil file, or None.
    text: the rules alone.
    before: the text of the file.
    after: the text of the file with the rules.
    left: advice about the denials that selab leaves to the user.
    settled: advice about the denials that the scenario tolerates or expects, which get no rule.
    """

    file: Path | None
    text: str
    before: str
    after: str
    left: tuple[Advice, ...]
    settled: tuple[Advice, ...] = ()


def suggestions(
    project: Project, stored: StoredRun, progress: Progress, *, risky: bool = False
) -> list[Suggestion]:
    """Return the rules that the run's denials require, for each candidate of the run.

    A denial that an entry of the scenario tolerates or expects gets no rule.
    `risky`: also include dangerous rules. Raises InputError if the run had no candidate, or if its file
    cannot be extended.
    """
    run = stored.document
    if not run.policies and "." not in run.label.type:
        what = "The run had no candidate to write rules for."
        raise InputError(what, run.run, "Run it with --policy NAME.")
    every = explained(project, stored, progress)
    return [
        _suggestion(project, policy, [advice for advice, owner in every if owner == policy], risky=risky)
        for policy in dict.fromkeys((*run.policies, *(owner for _, owner in every))) or (NO_POLICY,)
    ]


def _suggestion(project: Project, policy: str, every: Sequence[Advice], *, risky: bool) -> Suggestion:
    settled = tuple(each for each in every if each.settled)
    advice = [each for each in every if not each.settled]
    chosen = applicable(advice, risky=risky)
    covered = {each.need.key for each, _ in chosen}.union(*(remedy.covers for _, remedy in chosen))
    left = tuple(each for each in advice if each.need.key not in covered and not each.allowed_now)
    if policy == NO_POLICY:
        return Suggestion(None, cil_block.cil(chosen), "", "", left, settled)
    module = load_module(project, policy)
    if module.is_yaml:
        return Suggestion(None, cil_block.cil(chosen), "", "", left, settled)
    before = source(module.path)
    if module.language == "cil":
        text, after = cil_block.cil(chosen), cil_block.inserted_into(before, chosen, policy)
    else:
        text, after = block(chosen), inserted_into(before, chosen)
    return Suggestion(module.path, text, before, after, left, settled)
