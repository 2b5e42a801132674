"""Attribute each denial to the scenario, its container runtime, or the rest of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from selab.auditlog.context import Context
from selab.auditlog.denials import AvcDenial, Denial, SelinuxError, group
from selab.auditlog.events import Event, read_events
from selab.auditlog.losses import Losses
from selab.auditlog.records import Record, parse_line
from selab.host.tables import RUNTIMES, table

RUNTIME_DOMAINS = frozenset(chain.from_iterable(fields["domains"] for fields in table(RUNTIMES).values()))
"""The domains of container runtimes in the reference policy, container-selinux and their forks."""
RUNTIME_PROGRAMS = frozenset(chain.from_iterable(fields["programs"] for fields in table(RUNTIMES).values()))
"""The programs of container runtimes, by the names that audit records have for them."""
CLAIMS = frozenset({"USER_AVC", "USER_SELINUX_ERR"})
"""In records of these types a process, not the kernel, reports a denial."""


class Owner(StrEnum):
    """The part of the machine that a denial belongs to."""

    SCENARIO = "scenario"
    RUNTIME = "runtime"
    MACHINE = "machine"


class Party(NamedTuple):
    """A container of the run.

    type, level: type and level of its processes.
    name: its name in the scenario; empty if it is the only one.
    """

    type: str
    level: str
    name: str = ""


@dataclass(frozen=True)
class Scope:
    """What distinguishes this run from everything else.

    parties: its containers.
    types: types that the candidates declare.
    """

    parties: tuple[Party, ...]
    types: frozenset[str]

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The levels that mark processes and files as the run's: those with categories."""
        return tuple({party.level for party in self.parties if ":" in party.level})

    @cached_property
    def all_levels(self) -> frozenset[str]:
        """The levels of all containers."""
        return frozenset(party.level for party in self.parties)

    @cached_property
    def domains(self) -> frozenset[str]:
        """The types of the containers."""
        return frozenset(party.type for party in self.parties)

    def names(self, avc: AvcDenial) -> tuple[str, ...]:
        """Return the names of the containers that a denial concerns: the source's, then the target's.

        It is empty for a scenario with one container. Containers that share type and level are all named,
        because nothing in a record distinguishes them.
        """
        if len(self.parties) == 1:
            return ()
        concerned = [*self._named_by(avc.source), *self._named_by(avc.target)]
        return tuple(dict.fromkeys(concerned))

    def _named_by(self, context: Context) -> list[str]:
        at_level = [each for each in self.parties if ":" in each.level and context.level.endswith(each.level)]
        candidates = at_level or [each for each in self.parties if ":" not in context.level]
        exact = [each.name for each in candidates if each.type == context.type]
        return exact or [each.name for each in at_level]


class RefusedEntry(NamedTuple):
    """A process that the policy kept from entering a domain when it executed a program.

    into: the context that it would have had.
    before: the context that it kept; empty if no record has it.
    """

    into: str
    before: str


@dataclass(frozen=True)
class Attribution:
    """The denials of a window by owner.

    scenario: denials of the scenario, which decide the verdict.
    decisions: the scenario's denials one by one, in the order of the records.
    runtime, machine: denials of the container runtime and of the rest of the machine.
    errors: failures that concern the run, which decide the verdict too.
    unread: records that could not be read.
    claimed: records that the run's own processes may have sent. CAP_AUDIT_WRITE, which a container has by
        default, is enough, and the kernel logs such text unchanged (kernel/audit.c: audit_receive_msg).
    ran_as: contexts at the run's own level that, according to the kernel, a process had when it was denied
        something; empty if a record is unreadable or claimed.
    lost: why records are missing, as notices in the window say.
    refused_entries: the processes that the policy kept from entering a context at the run's own level; empty
        if a record is unreadable or claimed.
    """

    scenario: tuple[Denial, ...]
    runtime: tuple[Denial, ...]
    machine: tuple[Denial, ...]
    errors: tuple[SelinuxError, ...]
    unread: tuple[str, ...]
    claimed: tuple[str, ...] = ()
    ran_as: frozenset[str] = frozenset()
    decisions: tuple[AvcDenial, ...] = ()
    lost: tuple[str, ...] = ()
    refused_entries: frozenset[RefusedEntry] = frozenset()

    @property
    def doubts(self) -> list[str]:
        """Return the reasons why the denials may be incomplete or forged."""
        doubted = (
            (self.unread, "could not be read"),
            (self.claimed, "may have been written by the container itself"),
        )
        return [
            f"{len(records)} records of the window {why}, the first: {records[0][:80]}"
            for records, why in doubted
            if records
        ] + [f"records are missing from the window: {reason}" for reason in self.lost]


def attribute(lines: Iterable[bytes], scope: Scope) -> Attribution:
    """Sort the denials of a window by owner.

    A denial belongs to the scenario if its source or target is a candidate's, or has a level of the run's
    own. An old container of the same type has a different level.
    """
    by_owner: dict[Owner, list[AvcDenial]] = {owner: [] for owner in Owner}
    errors: list[SelinuxError] = []
    unread: list[str] = []
    ran_as: set[str] = set()
    refused: set[RefusedEntry] = set()
    losses = Losses()
    lines = tuple(lines)
    claimed = [
        line.decode("utf-8", "backslashreplace")
        for line in lines
        if _may_hold_several(line) and len(parse_line(line)) > 1
    ]
    for event in read_events(lines):
        claimed += [
            record.text
            for record in event.records
            if record.type in CLAIMS and _is_sent_by_own(record, scope)
        ]
        for avc in event.denials():
            by_owner[owner_of(avc, scope)].append(avc)
        ran_as |= _processes(event, scope)
        refused |= _refused_entries(event, scope)
        errors += _concerning(event, scope)
        unread += [record.text for record in event.unparsed()]
        for loss in event.losses():
            losses.add(loss)
    scenario, runtime, machine = (
        group(by_owner[owner]) for owner in (Owner.SCENARIO, Owner.RUNTIME, Owner.MACHINE)
    )
    doubtful = bool(unread or claimed)
    return Attribution(
        scenario,
        runtime,
        machine,
        tuple(errors),
        tuple(unread),
        tuple(claimed),
        frozenset() if doubtful else frozenset(ran_as),
        tuple(by_owner[Owner.SCENARIO]),
        losses.reasons(),
        frozenset() if doubtful else frozenset(refused),
    )


def _may_hold_several(line: bytes) -> bool:
    """Return whether a line of audit.log may hold more than its own record, which the kernel never writes."""
    return (
        line.count(b"audit(") > 1
        or line.count(b"scontext=") > 1
        or (b"avc:" in line and not line.startswith(b"type=AVC "))
        or (b"_ERR " in line and not line.startswith(b"type=SELINUX_ERR "))
    )


def owner_of(avc: AvcDenial, scope: Scope) -> Owner:
    """Return the owner of one denial."""
    if _is_own(avc.source, scope) or _is_own(avc.target, scope):
        return Owner.SCENARIO
    of_runtime = avc.source.type in RUNTIME_DOMAINS or avc.comm in RUNTIME_PROGRAMS
    return Owner.RUNTIME if of_runtime else Owner.MACHINE


def _processes(event: Event, scope: Scope) -> set[str]:
    """Return the contexts at the run's level under which, according to the kernel, a process ran.

    A denial's source alone is no proof: if `entrypoint` forbids an exec, it is the context that the process
    would have had, and for a packet or a connection it is the socket's (security/selinux/hooks.c). The call's
    record has the context at the end of the call.
    """
    sources = {
        str(avc.source)
        for avc in event.denials()
        if not avc.userspace and avc.source.level in scope.all_levels
    }
    return sources.intersection(
        record.fields.get("subj", "") for record in event.records if record.type == "SYSCALL"
    )


def _refused_entries(event: Event, scope: Scope) -> set[RefusedEntry]:
    """Return the contexts at the run's level that the kernel kept a process from entering by an exec.

    The kernel asks for `transition` from the old to the new context, and for `entrypoint` from the new one to
    the program (security/selinux/hooks.c, selinux_bprm_creds_for_exec). The exec fails if either is denied.
    """
    subjects = [record.fields.get("subj", "") for record in event.records if record.type == "SYSCALL"]
    refused: set[RefusedEntry] = set()
    for avc in event.denials():
        if avc.userspace or avc.granted or avc.permissive is not False:
            continue
        if (
            avc.tclass == "process"
            and "transition" in avc.permissions
            and avc.target.level in scope.all_levels
        ):
            refused.add(RefusedEntry(str(avc.target), str(avc.source)))
        elif (
            avc.tclass == "file" and "entrypoint" in avc.permissions and avc.source.level in scope.all_levels
        ):
            refused.add(RefusedEntry(str(avc.source), subjects[0] if subjects else ""))
    return refused


def _is_sent_by_own(record: Record, scope: Scope) -> bool:
    """Return whether a process of the run sent the record, by the context that the kernel adds."""
    subject = record.fields.get("subj", "")
    return subject.count(":") >= 2 and _is_own(Context.parse(subject), scope)


def _is_own(context: Context, scope: Scope) -> bool:
    """Return whether a context is the run's, by its level or by a type of the candidate."""
    if context.level.endswith(scope.levels):
        return True
    if context.type in scope.domains:
        return ":" not in context.level
    return context.type in scope.types


def _concerning(event: Event, scope: Scope) -> list[SelinuxError]:
    """Return the errors that concern the run: by one of their contexts, or by the process behind them."""
    errors = list(event.selinux_errors())
    if errors and _has_own((record.fields.get("subj", "") for record in event.records), scope):
        return errors
    return [
        error for error in errors if _has_own((error.scontext, error.tcontext, error.invalid_context), scope)
    ]


def _has_own(contexts: Iterable[str], scope: Scope) -> bool:
    return any(_is_own(Context.parse(text), scope) for text in contexts if text.count(":") >= 2)
