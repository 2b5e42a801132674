"""`selab learn`: from a draft to a policy that passes.

Each round runs the scenario and adds what was denied and is not dangerous, first in permissive and then in
enforcing mode. The rounds work on a copy of the policies. The caller writes the user's own file at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from selab.advice.advise import Advice
from selab.analysis.offline import on_its_guest, replay_offline
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
"""The number of runs after which `learn` stops by default."""


@dataclass(frozen=True)
class LearnResult:
    """What was learned.

    policy: the candidate's name.
    runs: the run of each round.
    before: the text of the .te file before the first round.
    after: the text after the last round.
    left: advice about the denials that selab leaves to the user.
    """

    policy: str
    runs: tuple[RunDocument, ...]
    before: str
    after: str
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
    """Learn the policy of a scenario in at most `rounds` runs. The history stores each run.

    `risky`: also add rules that are dangerous. Raises InputError if the scenario has no candidate, or if the
    candidate cannot be linked with what was added.
    """
    module = candidate(project, scenario, policy, "learn for")
    drafting, before = on_its_guest(drafts(project, scenario)), source(module.path)
    history = History.of(project)
    te = drafting.policies / module.path.name
    runs: list[RunDocument] = []
    left: tuple[Advice, ...] = ()
    mode = Mode.PERMISSIVE
    for number in range(1, rounds + 1):
        with progress.step(f"Round {number}: {mode.value}"):
            runs.append(run_and_keep(drafting, machine, Request(scenario, module.name, mode), progress))
            stored = history.find(runs[-1].run)
            suggested = suggestion(drafting, stored, progress, risky=risky)
            left = suggested.left or (() if runs[-1].verdict is Verdict.PASS else left)
            grew = suggested.after != suggested.before
            if grew:
                write_source(te, suggested.after)
                result = replay_offline(drafting, stored.recorded, module.name, progress)
                progress.note(f"Of this round, {result.in_words()}.")
        if runs[-1].verdict is Verdict.ERROR or (mode is Mode.ENFORCING and not grew):
            break
        mode = Mode.ENFORCING
    return LearnResult(module.name, tuple(runs), before, source(te), left)
