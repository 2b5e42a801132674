"""What became of a workload: what failed, and why the workload may not have run as requested."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from selab.auditlog.attribution import RefusedEntry
from selab.container.label import ContainerLabel
from selab.container.lifecycle import Running
from selab.container.runtime import Runtime
from selab.container.steps import StepResult
from selab.service.lifecycle import RunningService


@dataclass
class ContainerOutcome:
    """What became of a container, or of a service in its place.

    label: the label that its processes should have.
    title: its name in the scenario; empty if it is the only one.
    may_end: whether it may end before the run does.
    unit: the unit of a service, or "" for a container.
    labels: the contexts of its processes.
    refused: why it did not start, if it did not.
    ended: its exit code, if it had ended by itself when the steps were over.
    end: how a service had ended, as the rest of a sentence.
    restarted: how often systemd has restarted a service, and why, if it did.
    outlived: whether processes were left when the runtime had removed the container.
    from_denials: whether `labels` come from the kernel's records of denials, because the container ended
        before selab could read them from a process.
    """

    label: ContainerLabel
    title: str = ""
    may_end: bool = True
    unit: str = ""
    labels: frozenset[str] = frozenset()
    refused: str = ""
    ended: int | None = None
    end: str = ""
    restarted: str = ""
    outlived: bool = False
    from_denials: bool = False

    @property
    def noun(self) -> str:
        """Return how a sentence names it."""
        if self.unit:
            return f"the service '{self.title}' ({self.unit})" if self.title else f"the service {self.unit}"
        return f"the container '{self.title}'" if self.title else "the container"

    def conclude(self, ran_as: frozenset[str], refused_entries: frozenset[RefusedEntry]) -> _Conclusion:
        """Return what was wrong with the container, from what Outcome.conclude describes."""
        if self.refused:
            return _Conclusion([f"{self.noun} {self.refused}"])
        self.from_denials = not self.labels and self.label.context in ran_as
        if self.from_denials:
            self.labels = ran_as
        failures = []
        if self.ended is not None and not self.may_end:
            end = self.end or f"ended with exit code {self.ended}"
            failures.append(f"{self.noun} {end} before the run was over")
        if self.outlived:
            failures.append(f"the container runtime could not end {self.noun}, so selab killed its processes")
        if self.restarted:
            failures.append(f"systemd restarted {self.noun} {self.restarted}")
        before = _before_refusal(self.label, refused_entries)
        if before is not None and self.labels <= before:
            entry = f"{self.noun} did not enter its domain: the policy refused the start of its process as "
            return _Conclusion([*failures, entry + self.label.type])
        return _Conclusion(failures, label_doubts(self.label, self.labels, self.noun))


@dataclass(frozen=True)
class _Conclusion:
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What became of the workload, filled in during the run. The verdict's reasons are made from it.

    containers: what became of each container, in the order of their start.
    steps: the results of the steps that ran, in order.
    failures: what the workload failed at.
    doubts: why the workload may not have run as requested.
    log: the end of the containers' logs, if a step failed.
    """

    containers: list[ContainerOutcome] = field(default_factory=list)
    steps: list[StepResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    log: str = ""

    def refuse(self, title: str, reason: str, started: Collection[str]) -> None:
        """Note that the container `title` did not start or become ready, so that the run ended.

        `started`: the names of those that were started.
        """
        for each in self.containers:
            if each.title == title:
                each.refused = reason
            elif each.title not in started:
                each.refused = "was not started"

    def observed(self, started: Mapping[str, Running]) -> None:
        """Note the labels of the containers that were started, and the exit codes of those that had ended."""
        for each in self.containers:
            if container := started.get(each.title):
                each.labels, each.ended = frozenset(container.labels), container.ended
                if isinstance(container, RunningService):
                    each.end, each.restarted = container.end, container.restarted
                else:
                    each.outlived = container.outlived

    @property
    def labels(self) -> frozenset[str]:
        """The contexts of all processes."""
        return frozenset[str]().union(*(each.labels for each in self.containers))

    @property
    def _only_from_denials(self) -> list[ContainerOutcome]:
        return [each for each in self.containers if each.from_denials]

    @property
    def reservations(self) -> tuple[str, ...]:
        """Why this is enough for a FAIL but not for a PASS: a process without a denial left no trace."""
        return tuple(
            f"only denials show the label of {each.noun}'s processes, which is not enough for a PASS"
            for each in self._only_from_denials
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know in addition to the verdict's reasons."""
        return tuple(
            f"{each.noun[:1].upper()}{each.noun[1:]} ended before the label of its processes could be read, "
            "so the label was taken from the kernel's records of its denials."
            for each in self._only_from_denials
        )

    def conclude(
        self,
        runtime: Runtime,
        ran_as: frozenset[str],
        refused_entries: frozenset[RefusedEntry] = frozenset(),
    ) -> None:
        """Turn what was observed into failures and doubts. The audit window must be closed by then.

        `ran_as` are the contexts of processes that the denials prove, and `refused_entries` those that the
        denials prove a process did not enter. They prove something about a container only if its label was
        drawn for the run and no other container has it.
        """
        for step in self.steps:
            if not step.observed:
                self.doubts.append(f"selab could not observe the step '{step.name}': {step.detail}")
            elif not step.ok:
                self.failures.append(f"step '{step.name}' failed: {step.detail}")
        contexts = [each.label.context for each in self.containers]
        for each in self.containers:
            if each.label.at_random and contexts.count(each.label.context) == 1:
                conclusion = each.conclude(self._of(each.label, ran_as), refused_entries)
            else:
                conclusion = each.conclude(frozenset(), frozenset())
            self.failures += conclusion.failures
            self.doubts += conclusion.doubts
        silent = [step.name for step in self.steps if runtime.is_silent(step.detail)]
        self.doubts += [f"{runtime.title} stopped answering at the step '{name}'" for name in silent]

    def _of(self, label: ContainerLabel, ran_as: frozenset[str]) -> frozenset[str]:
        """Return the contexts of the container with `label`: all at its level if no other has it."""
        levels = [each.label.level for each in self.containers]
        if levels.count(label.level) > 1:
            return ran_as & {label.context}
        return frozenset(context for context in ran_as if context.split(":", 3)[3:] == [label.level])


def _before_refusal(label: ContainerLabel, refused_entries: Iterable[RefusedEntry]) -> frozenset[str] | None:
    """Return the contexts that the container's process had when it was kept from entering its own.

    Returns None if no denial shows that.
    """
    entries = [entry for entry in refused_entries if entry.into == label.context]
    return frozenset(entry.before for entry in entries) if entries else None


def label_doubts(label: ContainerLabel, seen: frozenset[str], noun: str = "the container") -> list[str]:
    """Return why the processes may not have run under the requested label, by type and level."""
    if not seen:
        return [f"{noun} ended before the label of its processes could be read from the kernel"]
    requested = (label.type, label.level)
    others = sorted(context for context in seen if tuple(context.split(":", 3)[2:]) != requested)
    return [f"a process of {noun} ran as {other}, not as {label.type}:{label.level}" for other in others]
