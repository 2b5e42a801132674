"""From a draft to a policy that passes: run, add what was denied and is not dangerous, ask the candidate, run in enforcing mode, again.

All of it happens to a copy of the policies: the user's own file is written only at the end, by whoever asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from selab.advice.advise import Advice
from selab.analysis.offline import recorded, replay_offline
from selab.analysis.suggest import suggestion
from selab.history import History
from selab.machine import Machine
from selab.policy.guest.load import Mode
from selab.policy.source_file import source, write_source
from selab.progress import Progress
from selab.project import Project
from selab.run.document import RunDocument
from selab.run.request import Request
from selab.run.verdict import Verdict
from selab.workflows.drafts import candidate, drafts, run_and_keep

ROUNDS = 6


@dataclass(frozen=True)
class LearnResult:
    """What has been learned: the run of each round, the policy before and after, and the denials that are left for a person."""

    policy: str
    runs: tuple[RunDocument, ...]
    before: str
    after: str
    left: tuple[Advice, ...]

    @property
    def passed(self) -> bool:
        """Whether the last run was in enforcing mode, and nothing was denied."""
        last = self.runs[-1]
        return last.mode is Mode.ENFORCING and last.verdict is Verdict.PASS and not last.keys


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
    """Learn the policy of a scenario in at most `rounds` runs, each of which is in the history.

    Raises InputError where the scenario has no candidate, or where what was added cannot be linked.
    """
    module = candidate(project, scenario, policy, "learn for")
    drafting, before, history = drafts(project, scenario), source(module.te), History.of(project)
    te = drafting.policies / module.te.name
    runs: list[RunDocument] = []
    left: tuple[Advice, ...] = ()
    mode = Mode.PERMISSIVE
    for number in range(1, rounds + 1):
        with progress.step(f"Round {number}: {mode.value}"):
            runs.append(run_and_keep(drafting, machine, Request(scenario, module.name, mode), progress))
            stored = history.find(runs[-1].run)
            found = suggestion(drafting, stored, progress, risky=risky)
            left = found.left or (() if runs[-1].verdict is Verdict.PASS else left)
            grew = found.after != found.before
            if grew:
                write_source(te, found.after)
                progress.note(
                    f"Of this round, {replay_offline(drafting, recorded(stored), module.name, progress).in_words()}."
                )
        if runs[-1].verdict is Verdict.ERROR or (mode is Mode.ENFORCING and not grew):
            break
        mode = Mode.ENFORCING
    return LearnResult(module.name, tuple(runs), before, source(te), left)
