"""`selab learn`: from a draft to a policy that passes.

Each round runs the scenario and adds what was denied and is not dangerous, first in permissive and then in
enforcing mode. The rounds work on a copy of the policies. The caller writes the user's own file at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from selab.advice.advise import Advice
from selab.analysis.offline import on_its_guest, replay_offline
from selab.analysis.suggest import suggestions
from selab.history import History
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.policy.source_file import source, write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.request import Request
from selab.run.verdict import Verdict
from selab.workflows.drafts import Change, candidates, drafts, run_and_keep

ROUNDS = 6
"""The number of runs after which `learn` stops by default."""


@dataclass(frozen=True)
class LearnResult:
    """What was learned.

    changes: the changes to the file of each candidate.
    runs: the run of each round.
    left: advice about the denials that selab leaves to the user.
    """

    changes: tuple[Change, ...]
    runs: tuple[RunDocument, ...]
    left: tuple[Advice, ...]

    @property
    def passed(self) -> bool:
        """Whether the last run passed in enforcing mode, and nothing unexpected was denied."""
        last = self.runs[-1]
        return last.mode is Mode.ENFORCING and last.verdict is Verdict.PASS and not last.unexpected


def learn(
    project: Project,
    machine: Machine,
    scenario: str,
    policy: str | None,
    progress: Progress,
    *,
    rounds: int = ROUNDS,
    risky: bool = False,
) -> LearnResult:
    """Learn the policies of a scenario in at most `rounds` runs. The history stores each run.

    `risky`: also add rules that are dangerous. Raises InputError if the scenario has no candidate, or if the
    candidate cannot be linked with what was added.
    """
    modules = candidates(project, scenario, policy, "learn for")
    drafting, before = on_its_guest(drafts(project, scenario)), [source(each.path) for each in modules]
    history = History.of(project)
    names = [each.name for each in modules]
    runs: list[RunDocument] = []
    left: tuple[Advice, ...] = ()
    mode = Mode.PERMISSIVE
    for number in range(1, rounds + 1):
        with progress.step(f"Round {number}: {mode.value}"):
            runs.append(run_and_keep(drafting, machine, Request(scenario, policy, mode), progress))
            stored = history.find(runs[-1].run)
            proposals = suggestions(drafting, stored, progress, risky=risky)
            remaining = tuple(advice for each in proposals for advice in each.left)
            left = remaining or (() if runs[-1].verdict is Verdict.PASS else left)
            grown = [(each.file, each.after) for each in proposals if each.after != each.before and each.file]
            for file, text in grown:
                write_source(drafting.policies / file.name, text)
            if grown:
                result = replay_offline(drafting, stored.recorded, names, progress)
                progress.note(f"Of this round, {result.in_words()}.")
        if runs[-1].verdict is Verdict.ERROR or (mode is Mode.ENFORCING and not grown):
            break
        mode = Mode.ENFORCING
    changes = (
        Change(each.name, text, source(drafting.policies / each.path.name))
        for each, text in zip(modules, before, strict=True)
    )
    return LearnResult(tuple(changes), tuple(runs), left)
