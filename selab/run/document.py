"""A finished run as plain data: what `--json` prints, the history stores, and every report is made from."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from selab import __version__
from selab.auditlog.classification import Classification, Ruling
from selab.auditlog.denials import IOCTL, DenialKey, command_in, keys_of
from selab.host.files import to_json
from selab.policy.guest.load import Mode
from selab.run.request import NO_POLICY
from selab.run.verdict import Verdict

SCHEMA = 1
"""Increases when a key changes its meaning or is removed, but not when a key is added."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class LabelEntry(_Part):
    """The label of the container's processes.

    requested: the context that was requested.
    actual: the context that the kernel gave. If the processes had several, `actual` holds all of them with
        spaces between, and the verdict is ERROR.
    from_denials: whether `actual` comes from the kernel's records of denials, because the container ended
        before selab could read it from a process.
    """

    requested: str
    actual: str
    from_denials: bool = False

    @property
    def type(self) -> str:
        """The type that was requested."""
        return self.requested.split(":")[2]

    @property
    def level(self) -> str:
        """The level that was requested."""
        return self.requested.split(":", 3)[3]


class ContainerEntry(_Part):
    """One of several containers.

    name: its name in the scenario.
    policy: its candidate, or `none`.
    label: the label of its processes.
    refused: why it did not start or become ready, as the rest of a sentence about it; empty if it did.
    ended: its exit code if it had ended by itself when the steps were over, otherwise null.
    """

    name: str
    policy: str
    label: LabelEntry
    refused: str = ""
    ended: int | None = None


class StepEntry(_Part):
    """A step of the scenario.

    name: the step's title.
    ok: whether the step succeeded.
    seconds: how long the step took.
    detail: what happened instead, if the step failed.
    """

    name: str
    ok: bool
    seconds: float
    detail: str = ""


class DenialEntry(_Part):
    """The denials of one source type, target type and class.

    source: the source type.
    target: the target type.
    tclass: the target's class.
    permissions: the union of the denied permissions.
    count: the number of records.
    permissive: false if a record says that the access was blocked, true if all say that it was allowed all
        the same, null if that is unknown.
    mixed: whether some records say that the access was blocked, and others that it was allowed.
    comm: an example of the process's name.
    path: an example of the target's path.
    exe: an example of the process's executable.
    detail: an example of what else the record says, such as a port.
    userspace: whether a program reported the denial, not the kernel.
    separated: whether MCS categories keep the two sides apart, which no `allow` rule changes.
    evidence: at most ten pairs of full contexts.
    serials: serial numbers of the records, not all of them if there are many.
    raw_sources, raw_targets: labels that the policy does not know, which the kernel treated as the source or
        the target.
    commands: the commands of denied ioctls (`0x8910`), not all of them if there are many.
    containers: the containers that the denials concern, the source's before the target's; empty if the
        scenario has no names for containers, or if none is concerned.
    by_command: whether the policy distinguishes the commands, so that each is a denial of its own.
    """

    source: str
    target: str
    tclass: str = Field(alias="class")
    permissions: tuple[str, ...]
    count: int
    permissive: bool | None
    mixed: bool = False
    comm: str = ""
    path: str = ""
    exe: str = ""
    detail: str = ""
    userspace: bool = False
    separated: bool = False
    evidence: tuple[tuple[str, str], ...] = ()
    serials: tuple[int, ...] = ()
    raw_sources: tuple[str, ...] = ()
    raw_targets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    by_command: bool = False

    def commands_of(self, permission: str) -> tuple[int | None, ...]:
        """The commands of a denied ioctl; (None,) if they are unknown, and for any other permission."""
        if permission != IOCTL:
            return (None,)
        # A run by an older selab has only the example.
        return tuple(int(command, 16) for command in self.commands) or (command_in(self.detail),)

    @property
    def keys(self) -> tuple[DenialKey, ...]:
        """The identity of each denial: one permission each, and one command if the policy lists commands."""
        return keys_of(self)


class ClassifiedDenialEntry(DenialEntry):
    """The scenario's own denials of one source type, target type, class and ruling.

    classification: unexpected, tolerated or expected, as the verdict has decided.
    entry: the entry of the scenario that says so; empty if the denial is unexpected.
    reason: the entry's reason.
    """

    classification: Classification = Classification.UNEXPECTED
    entry: str = ""
    reason: str = ""

    @property
    def ruling(self) -> Ruling:
        """What the scenario says about the denial."""
        return Ruling(self.classification, self.entry, self.reason)


class MissingDenialEntry(_Part):
    """An expected denial that did not occur.

    entry: the entry of the scenario that expects it.
    reason: the entry's reason.
    """

    entry: str
    reason: str


class SelinuxErrorEntry(_Part):
    """A failure that SELinux reports without a denial.

    kind: the operation that failed, as the kernel names it.
    meaning: what happened.
    source: the source context. It may be invalid. For a transition it is the old context.
    target: the target context. It may be invalid. For a transition it is the new context.
    tclass: the target's class.
    invalid_context: the context that the policy does not allow.
    text: the record.
    """

    kind: str
    meaning: str
    source: str = ""
    target: str = ""
    tclass: str = Field(default="", alias="class")
    invalid_context: str = ""
    text: str = ""


class RunDocument(_Part):
    """A run.

    schema_: the version of this format.
    selab: the version of selab.
    run: unique name, `YYYYMMDD-HHMMSS-xxxx`.
    started: UTC.
    scenario: the scenario's name.
    mode: enforcing, permissive or domain.
    policy: the candidate's name, or `none`.
    sources: the digest of the candidate's sources and of all that it requires; empty if there is no
        candidate, or if an older selab made the run.
    digest: the digest of the policy in force.
    base: the fingerprint of the base policy.
    label: the label of the container's processes; that of the first one, if the scenario has several.
    containers: the containers in the order of their start; empty if the scenario has no names for them.
    steps: the steps that ran, in order.
    denials: the scenario's own denials, which decide the verdict, the unexpected ones first.
    missing: the expected denials that did not occur.
    hidden: the denials that appeared only in a second run with dontaudit rules off.
    runtime: the denials of the container runtime, which do not affect the verdict.
    machine: the denials of the rest of the guest, which do not affect the verdict.
    selinux_errors: the failures that SELinux reported without a denial.
    log: the end of the container's log, if a step failed.
    notes: what else the user should know.
    verdict: PASS, FAIL or ERROR.
    reasons: why the verdict is what it is, the decisive reasons first.
    timings: seconds by stage, in the order in which the stages began. Some run beside others or within them.
    seconds: from the beginning of the command, or of the run if the command makes several, to the verdict;
        None in what earlier versions have stored.
    """

    schema_: int = Field(default=SCHEMA, alias="schema")
    selab: str = __version__
    run: str
    started: datetime.datetime
    scenario: str
    mode: Mode
    policy: str
    sources: str = ""
    digest: str
    base: str
    label: LabelEntry
    containers: tuple[ContainerEntry, ...] = ()
    steps: tuple[StepEntry, ...]
    denials: tuple[ClassifiedDenialEntry, ...]
    missing: tuple[MissingDenialEntry, ...] = ()
    hidden: tuple[ClassifiedDenialEntry, ...] = ()
    runtime: tuple[DenialEntry, ...] = ()
    machine: tuple[DenialEntry, ...] = ()
    selinux_errors: tuple[SelinuxErrorEntry, ...] = ()
    log: str = ""
    notes: tuple[str, ...] = ()
    verdict: Verdict
    reasons: tuple[str, ...]
    timings: dict[str, float]
    seconds: float | None = None

    def as_json(self) -> str:
        """Return the document as `--json` prints it."""
        return to_json(self.model_dump(mode="json", by_alias=True))

    @property
    def duration(self) -> float:
        """The seconds to the verdict; the sum of the stages in what earlier versions have stored."""
        return sum(self.timings.values()) if self.seconds is None else self.seconds

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of the candidates, in the order of the containers."""
        names = [each.policy for each in self.containers] or [self.policy]
        return tuple(dict.fromkeys(name for name in names if name != NO_POLICY))

    @property
    def keys(self) -> frozenset[DenialKey]:
        """The identities of the scenario's own denials."""
        return frozenset(key for denial in self.denials for key in denial.keys)

    @property
    def rulings(self) -> Mapping[DenialKey, Ruling]:
        """The most serious ruling on each denial; rulings on one denial differ if entries name paths."""
        rulings: dict[DenialKey, Ruling] = {}
        for denial in self.denials:
            for key in denial.keys:
                rulings.setdefault(key, denial.ruling)
        return rulings

    @property
    def concerned(self) -> Mapping[DenialKey, tuple[str, ...]]:
        """The names of the containers that each denial concerns; empty if they have none."""
        return {key: denial.containers for denial in self.denials for key in denial.keys}

    @property
    def unexpected_keys(self) -> frozenset[DenialKey]:
        """The identities of the unexpected denials."""
        return frozenset(key for key, ruling in self.rulings.items() if ruling.is_unexpected)

    def classified_as(self, classification: Classification) -> tuple[ClassifiedDenialEntry, ...]:
        """The scenario's own denials with this classification."""
        return tuple(denial for denial in self.denials if denial.classification is classification)

    @property
    def unexpected(self) -> tuple[ClassifiedDenialEntry, ...]:
        """The unexpected denials."""
        return self.classified_as(Classification.UNEXPECTED)

    @property
    def denials_in_words(self) -> str:
        """The number of denials, by classification if not all are unexpected: `1 denial (1 tolerated)`."""
        counts = Counter(ruling.classification for ruling in self.rulings.values())
        count = len(self.keys)
        total = f"{count} denial{'' if count == 1 else 's'}"
        if counts[Classification.UNEXPECTED] == count:
            return total
        parts = [f"{counts[each]} {each.value}" for each in Classification if counts[each]]
        return f"{total} ({', '.join(parts)})"
