"""A finished run as plain data: what `--json` prints, the history keeps, and every report is made from."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from selab import __version__
from selab.auditlog.denials import Denial, DenialKey
from selab.host.files import to_json
from selab.policy.guest.load import Mode
from selab.run.experiment import Run
from selab.run.verdict import Verdict

SCHEMA = 1
"""Goes up when a key changes its meaning or goes away; new keys may come without."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class LabelEntry(_Part):
    """`requested` is the context that was asked for; `actual` the one that the container's processes had, as the kernel gave it.

    Where they had several, `actual` holds all of them with a space between, and the verdict is ERROR. `from_denials`: nobody could read it
    from a process before the container ended; the kernel's records of what the processes were denied name it.
    """

    requested: str
    actual: str
    from_denials: bool = False

    @property
    def type(self) -> str:
        """The type that was asked for."""
        return self.requested.split(":")[2]


class StepEntry(_Part):
    """A step, in order. `detail` says what came instead, where it failed."""

    name: str
    ok: bool
    seconds: float
    detail: str = ""


class DenialEntry(_Part):
    """One unique (source type, target type, class) with the union of its permissions; `count` is the number of records.

    `permissive` is null where the kernel does not say; `mixed` where some records say so and others not; `comm`, `path`, `exe` and
    `detail` are examples; `separated` where MCS categories keep the two sides apart, which no `allow` rule mends; `evidence` holds pairs
    of full contexts, at most ten.
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

    @property
    def keys(self) -> tuple[DenialKey, ...]:
        """Each permission by itself: a denial's identity."""
        return tuple(
            DenialKey(self.source, self.target, self.tclass, permission) for permission in self.permissions
        )


class SelinuxErrorEntry(_Part):
    """A failure that SELinux reports without a denial; `meaning` says what happened."""

    kind: str
    meaning: str
    source: str = ""
    target: str = ""
    tclass: str = Field(default="", alias="class")
    invalid_context: str = ""
    text: str = ""


class RunDocument(_Part):
    """A run. `started` is UTC; `timings` are seconds by stage, `denials` the scenario's own, which decide the verdict.

    `hidden` are the denials that came only in a second run with dontaudit rules off; `runtime` and `machine` those of the container
    runtime and of the rest of the machine, which do not decide. `digest` is that of the policy in force, `base` the base policy's.
    """

    schema_: int = Field(default=SCHEMA, alias="schema")
    selab: str = __version__
    run: str
    started: datetime.datetime
    scenario: str
    mode: Mode
    policy: str
    digest: str
    base: str
    label: LabelEntry
    steps: tuple[StepEntry, ...]
    denials: tuple[DenialEntry, ...]
    hidden: tuple[DenialEntry, ...] = ()
    runtime: tuple[DenialEntry, ...] = ()
    machine: tuple[DenialEntry, ...] = ()
    selinux_errors: tuple[SelinuxErrorEntry, ...] = ()
    log: str = ""
    notes: tuple[str, ...] = ()
    verdict: Verdict
    reasons: tuple[str, ...]
    timings: dict[str, float]

    def as_json(self) -> str:
        return to_json(self.model_dump(mode="json", by_alias=True))

    @property
    def keys(self) -> frozenset[DenialKey]:
        """The identities of the scenario's own denials."""
        return frozenset(key for denial in self.denials for key in denial.keys)


def document_of(run: Run) -> RunDocument:
    """The document of a run that has just ended."""
    found = run.attribution
    errors: Sequence[dict[str, Any]] = [error.to_json() for error in found.errors]
    return RunDocument(
        run=run.id,
        started=run.started,
        scenario=run.plan.scenario.name,
        mode=run.plan.mode,
        policy=run.plan.policy,
        digest=run.loaded.digest,
        base=run.base_fingerprint,
        label=_label(run),
        steps=tuple(
            StepEntry(name=step.name, ok=step.ok, seconds=round(step.seconds, 3), detail=step.detail)
            for step in run.outcome.steps
        ),
        denials=_entries(found.scenario),
        hidden=_entries(run.hidden),
        runtime=_entries(found.runtime),
        machine=_entries(found.machine),
        selinux_errors=tuple(SelinuxErrorEntry.model_validate(error) for error in errors),
        log=run.outcome.log,
        notes=run.notes,
        verdict=run.verdict,
        reasons=run.reasons,
        timings=run.timings,
    )


def _label(run: Run) -> LabelEntry:
    return LabelEntry(
        requested=run.label.context,
        actual=" ".join(sorted(run.outcome.labels)),
        from_denials=run.outcome.from_denials,
    )


def _entries(denials: Sequence[Denial]) -> tuple[DenialEntry, ...]:
    return tuple(DenialEntry.model_validate(denial.to_json()) for denial in denials)
