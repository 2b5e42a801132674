"""What became of a workload: what failed, and why it may not have been what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from selab.container.label import ContainerLabel
from selab.container.runtime import Runtime
from selab.container.steps import StepResult


@dataclass
class Outcome:
    """What became of the workload, filled in as it goes. `failures` and `doubts` become the verdict's reasons.

    `refused` says why there was no container. `from_denials`: nobody read `labels` from a process, the kernel's records of the processes'
    denials name them.
    """

    steps: list[StepResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    labels: frozenset[str] = frozenset()
    log: str = ""
    refused: str = ""
    from_denials: bool = False

    @property
    def reservations(self) -> tuple[str, ...]:
        """Why this may be a FAIL, and is not enough for a PASS: what was denied something is not all that ran."""
        return (
            ("only denials show the label of the container's processes, which is not enough for a PASS",)
            if self.from_denials
            else ()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the run should know beside its reasons."""
        said = "The container ended before the label of its processes could be read: the kernel's records of its denials show it."
        return (said,) if self.from_denials else ()

    def conclude(self, label: ContainerLabel, runtime: Runtime, ran_as: frozenset[str]) -> None:
        """Make failures and doubts of all that was seen, when the audit window is closed.

        `label` is what `runtime` was asked for; `ran_as` are the contexts of processes that the window's denials prove.
        """
        if self.refused:
            self.failures.append(f"the container did not start: {self.refused}")
            return
        self.failures += [f"step '{step.name}' failed: {step.detail}" for step in self.steps if not step.ok]
        self.from_denials = not self.labels and label.at_random and label.context in ran_as
        if self.from_denials:
            self.labels = ran_as
        self.doubts += label_doubts(label, self.labels)
        silent = [step.name for step in self.steps if runtime.is_silent(step.detail)]
        self.doubts += [f"{runtime.title} stopped answering at the step '{name}'" for name in silent]


def label_doubts(label: ContainerLabel, seen: frozenset[str]) -> list[str]:
    """Why the processes may not have run under the label that was asked for: by type and level, as the kernel gave them."""
    if not seen:
        return ["the container ended before the label of its processes could be read from the kernel"]
    wanted = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != wanted)
    return [
        f"a process of the container ran as {other}, not as {label.type}:{label.level}" for other in others
    ]
