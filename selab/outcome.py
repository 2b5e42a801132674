"""What became of a workload: what failed, and why it may not have been what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from selab.container.label import ContainerLabel
from selab.container.run import NO_DAEMON
from selab.container.steps import StepResult


@dataclass
class Outcome:
    """What became of the workload, filled in as it goes. `failures` and `doubts` become the verdict's reasons."""

    steps: list[StepResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    labels: frozenset[str] = frozenset()
    log: str = ""

    def conclude(self, label: ContainerLabel) -> None:
        """Make failures and doubts of the steps and the labels, when the container is gone; `label` is the one that was asked for."""
        self.failures += [f"step '{step.name}' failed: {step.detail}" for step in self.steps if not step.ok]
        self.doubts += label_doubts(label, self.labels)
        self.doubts += [f"Docker stopped answering at the step '{step.name}'" for step in self.steps if NO_DAEMON in step.detail]


def label_doubts(label: ContainerLabel, seen: frozenset[str]) -> list[str]:
    """Why the processes may not have run under the label that was asked for: by type and level, as the kernel gave them."""
    if not seen:
        return ["the container ended before the label of its processes could be read from the kernel"]
    wanted = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != wanted)
    return [f"a process of the container ran as {other}, not as {label.type}:{label.level}" for other in others]
