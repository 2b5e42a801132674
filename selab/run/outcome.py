"""What became of a workload: what failed, and why the workload may not have run as requested."""

from __future__ import annotations

from dataclasses import dataclass, field

from selab.auditlog.attribution import RefusedEntry
from selab.container.label import ContainerLabel
from selab.container.runtime import Runtime
from selab.container.steps import StepResult


@dataclass
class Outcome:
    """What became of the workload, filled in during the run. The verdict's reasons are made from it.

    steps: the results of the steps that ran, in order.
    failures: what the workload failed at.
    doubts: why the workload may not have run as requested.
    labels: the contexts of the container's processes.
    log: the end of the container's log, if a step failed.
    refused: why the container did not start, if it did not.
    from_denials: whether `labels` come from the kernel's records of denials, because the container ended
        before selab could read them from a process.
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
        """Why this is enough for a FAIL but not for a PASS: a process without a denial left no trace."""
        return (
            ("only denials show the label of the container's processes, which is not enough for a PASS",)
            if self.from_denials
            else ()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know in addition to the verdict's reasons."""
        note = (
            "The container ended before the label of its processes could be read, so the label was taken "
            "from the kernel's records of its denials."
        )
        return (note,) if self.from_denials else ()

    def conclude(
        self,
        label: ContainerLabel,
        runtime: Runtime,
        ran_as: frozenset[str],
        refused_entries: frozenset[RefusedEntry] = frozenset(),
    ) -> None:
        """Turn what was observed into failures and doubts. The audit window must be closed by then.

        `label` was requested from `runtime`. `ran_as` are the contexts of processes that the denials prove,
        and `refused_entries` those that the denials prove a process did not enter.
        """
        if self.refused:
            self.failures.append(f"the container did not start: {self.refused}")
            return
        for step in self.steps:
            if not step.observed:
                self.doubts.append(f"selab could not observe the step '{step.name}': {step.detail}")
            elif not step.ok:
                self.failures.append(f"step '{step.name}' failed: {step.detail}")
        self.from_denials = not self.labels and label.at_random and label.context in ran_as
        if self.from_denials:
            self.labels = ran_as
        before = _before_refusal(label, refused_entries)
        if before is not None and self.labels <= before:
            self.failures.append(
                f"the container did not enter its domain: the policy refused the start of its process as "
                f"{label.type}"
            )
        else:
            self.doubts += label_doubts(label, self.labels)
        silent = [step.name for step in self.steps if runtime.is_silent(step.detail)]
        self.doubts += [f"{runtime.title} stopped answering at the step '{name}'" for name in silent]


def _before_refusal(label: ContainerLabel, refused_entries: frozenset[RefusedEntry]) -> frozenset[str] | None:
    """Return the contexts that the container's process had when it was kept from entering its own.

    Returns None if no denial shows that. A level that was not drawn for the run may be another container's.
    """
    entries = [entry for entry in refused_entries if label.at_random and entry.into == label.context]
    return frozenset(entry.before for entry in entries) if entries else None


def label_doubts(label: ContainerLabel, seen: frozenset[str]) -> list[str]:
    """Return why the processes may not have run under the requested label, by type and level."""
    if not seen:
        return ["the container ended before the label of its processes could be read from the kernel"]
    requested = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != requested)
    return [
        f"a process of the container ran as {other}, not as {label.type}:{label.level}" for other in others
    ]
