"""Whose denial is it: the scenario's, the container runtime's on its behalf, or the rest of the machine's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from selab.auditlog.context import Context
from selab.auditlog.denials import AvcDenial, Denial, SelinuxError, group
from selab.auditlog.events import Event, read_events
from selab.auditlog.records import Record, parse_line

RUNTIME_DOMAINS = frozenset(
    {
        "dockerd_t",
        "docker_t",
        "container_runtime_t",
        "container_engine_t",
        "containerd_t",
        "podman_t",
        "conmon_t",
    }
)
"""The domains of container runtimes in the reference policy, container-selinux and their forks."""
RUNTIME_PROGRAMS = frozenset(
    {
        "dockerd",
        "containerd",
        "containerd-shim",
        "containerd-shim-runc-v2",
        "runc",
        "crun",
        "conmon",
        "docker-proxy",
        "podman",
        "netavark",
        "aardvark-dns",
    }
)

CLAIMS = frozenset({"USER_AVC", "USER_SELINUX_ERR"})
"""Records in which a process, and not the kernel, says that something was denied."""


class Owner(StrEnum):
    """Whom a denial belongs to."""

    SCENARIO = "scenario"
    RUNTIME = "runtime"
    MACHINE = "machine"


@dataclass(frozen=True)
class Scope:
    """What tells this run from everything else: the type and the level of its container, and the types that the candidate declares."""

    type: str
    level: str
    types: frozenset[str]


@dataclass(frozen=True)
class Attribution:
    """The denials of a window by owner. `scenario` and `errors` decide the verdict; `unread` are records that nobody could read.

    `claimed` are records of denials that the run's own processes may have sent: whoever has CAP_AUDIT_WRITE can, a container by default,
    and the kernel puts such text into the log as it is (kernel/audit.c: audit_receive_msg).
    `ran_as` are the contexts at the run's own level of which the kernel says that a process had them when it was denied something; none
    where a record could not be read, or may be a claim.
    """

    scenario: tuple[Denial, ...]
    runtime: tuple[Denial, ...]
    machine: tuple[Denial, ...]
    errors: tuple[SelinuxError, ...]
    unread: tuple[str, ...]
    claimed: tuple[str, ...] = ()
    ran_as: frozenset[str] = frozenset()

    @property
    def doubts(self) -> list[str]:
        """Why these may not be the denials that there were."""
        said = ((self.unread, "could not be read"), (self.claimed, "may be the container's own words"))
        return [
            f"{len(records)} records of the window {why}, the first: {records[0][:80]}"
            for records, why in said
            if records
        ]


def attribute(lines: Iterable[bytes], scope: Scope) -> Attribution:
    """Sort the denials of a window by owner.

    A denial belongs to the scenario when one side of it is the candidate's, as its source or as its target, or has the run's own level:
    an old container of the same type has another one.
    """
    found: dict[Owner, list[AvcDenial]] = {owner: [] for owner in Owner}
    errors: list[SelinuxError] = []
    unread: list[str] = []
    ran_as: set[str] = set()
    lines = tuple(lines)
    claimed = [
        line.decode("utf-8", "backslashreplace")
        for line in lines
        if line.count(b"audit(") > 1 and len(parse_line(line)) > 1
    ]
    for event in read_events(lines):
        claimed += [
            record.text
            for record in event.records
            if record.type in CLAIMS and _is_sent_by_own(record, scope)
        ]
        for avc in event.denials():
            found[owner_of(avc, scope)].append(avc)
        ran_as |= _processes(event, scope)
        errors += [error for error in event.selinux_errors() if _concerns(error, event, scope)]
        unread += [record.text for record in event.unparsed()]
    scenario, runtime, machine = (
        group(found[owner]) for owner in (Owner.SCENARIO, Owner.RUNTIME, Owner.MACHINE)
    )
    known = frozenset() if unread or claimed else frozenset(ran_as)
    return Attribution(scenario, runtime, machine, tuple(errors), tuple(unread), tuple(claimed), known)


def owner_of(avc: AvcDenial, scope: Scope) -> Owner:
    """The owner of one denial."""
    if _is_own(avc.source, scope) or _is_own(avc.target, scope):
        return Owner.SCENARIO
    of_runtime = avc.source.type in RUNTIME_DOMAINS or avc.comm in RUNTIME_PROGRAMS
    return Owner.RUNTIME if of_runtime else Owner.MACHINE


def _processes(event: Event, scope: Scope) -> set[str]:
    """The contexts at the run's level under which a process ran, by what the kernel says of a denial and of the system call it came in.

    A denial's source alone is no proof: where `entrypoint` forbids an exec, it is the context that the process would have had, and of a
    packet or a connection it is the socket's (security/selinux/hooks.c). The call's record has what the process had when the call ended.
    """
    sources = {
        str(avc.source) for avc in event.denials() if not avc.userspace and avc.source.level == scope.level
    }
    return sources.intersection(
        record.fields.get("subj", "") for record in event.records if record.type == "SYSCALL"
    )


def _is_sent_by_own(record: Record, scope: Scope) -> bool:
    """Whether the sender of a record, whose context the kernel writes before its text, is one of the run's processes."""
    subject = record.fields.get("subj", "")
    return subject.count(":") >= 2 and _is_own(Context.parse(subject), scope)


def _is_own(context: Context, scope: Scope) -> bool:
    """Whether a context is the run's: its level, or a type of the candidate without another container's level."""
    if ":" in scope.level and context.level.endswith(scope.level):
        return True
    if context.type == scope.type:
        return ":" not in context.level or context.level == scope.level
    return context.type in scope.types


def _concerns(error: SelinuxError, event: Event, scope: Scope) -> bool:
    """Whether an error speaks of the run: in one of its contexts, of which one may not be valid, or by the process that caused it."""
    contexts = [
        error.scontext,
        error.tcontext,
        error.invalid_context,
        *(record.fields.get("subj", "") for record in event.records),
    ]
    return any(_is_own(Context.parse(text), scope) for text in contexts if text.count(":") >= 2)
