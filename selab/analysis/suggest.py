"""The rules that a run's denials ask for, as text for the candidate's own source."""

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
    advice = explain(project, stored, progress)
    chosen = applicable(advice, risky=risky)
    mended = {one.need.key for one, _ in chosen}.union(*(remedy.covers for _, remedy in chosen))
    left = tuple(one for one in advice if one.need.key not in mended and not one.allowed_now)
    if "." in domain:
        return Suggestion(None, cil(chosen), "", "", left)
    te = project.policies / f"{policy}.te"
    before = source(te)
    return Suggestion(te, block(chosen), before, inserted_into(before, chosen), left)
