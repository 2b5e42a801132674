"""What became of a workload: what failed, and why it may not have been what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from selab.container.label import ContainerLabel
from selab.container.runtime import Runtime
from selab.container.steps import StepResult


@dataclass
class Outcome:
    """What became of the workload, filled in as it goes. `failures` and `doubts` become the verdict's reasons."""

    steps: list[StepResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    labels: frozenset[str] = frozenset()
    log: str = ""

    def conclude(self, label: ContainerLabel, runtime: Runtime) -> None:
        """Make failures and doubts of the steps and the labels, when the container is gone; `label` is what `runtime` was asked for."""
        self.failures += [f"step '{step.name}' failed: {step.detail}" for step in self.steps if not step.ok]
        self.doubts += label_doubts(label, self.labels)
        silent = [step.name for step in self.steps if runtime.is_silent(step.detail)]
        self.doubts += [f"{runtime.title} stopped answering at the step '{name}'" for name in silent]


def label_doubts(label: ContainerLabel, seen: frozenset[str]) -> list[str]:
    """Why the processes may not have run under the label that was asked for: by type and level, as the kernel gave them."""
    if not seen:
        return ["the container ended before the label of its processes could be read from the kernel"]
    wanted = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != wanted)
    return [f"a process of the container ran as {other}, not as {label.type}:{label.level}" for other in others]
