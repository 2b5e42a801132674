"""The verdict of a candidate about recorded denials, without a VM: what its policy would decide now. Only a run proves a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.auditlog.context import Context
from selab.auditlog.denials import DenialKey
from selab.auditlog.events import read_events
from selab.policy.query.decide import Access, Decision
from selab.policy.query.decide_subprocess import ask


@dataclass(frozen=True)
class Recorded:
    """The raw lines of an earlier run's window, and the domain that its container had."""

    lines: Sequence[bytes]
    domain: str

    def asked_for(self, domain: str) -> list[Access]:
        """Its accesses, with `domain` in the place of its own."""
        return accesses(self.lines, (self.domain, domain) if domain != self.domain else ("", ""))


@dataclass(frozen=True)
class Replay:
    """The decision for each distinct access of the records, in their order."""

    decisions: tuple[Decision, ...]

    @property
    def allowed(self) -> frozenset[DenialKey]:
        """The denials of which every recorded access would be allowed now."""
        return self._keys - self.denied

    @property
    def denied(self) -> frozenset[DenialKey]:
        """The denials of which an access would still be denied, or cannot be decided."""
        return frozenset(key_of(decision.access) for decision in self.decisions if not decision.allowed)

    @property
    def _keys(self) -> frozenset[DenialKey]:
        return frozenset(key_of(decision.access) for decision in self.decisions)

    @property
    def causes(self) -> dict[DenialKey, Decision]:
        """For each denial that would stay, the first decision that keeps it."""
        found: dict[DenialKey, Decision] = {}
        for decision in self.decisions:
            if not decision.allowed:
                found.setdefault(key_of(decision.access), decision)
        return found

    def in_words(self) -> str:
        """One line: "21 of 30 denials would be allowed now; 9 would not: 8 missing rule, 1 constraint"."""
        total, allowed = len(self._keys), len(self.allowed)
        counts = Counter(decision.cause for decision in self.causes.values())
        rest = ", ".join(
            f"{count} {cause.value}"
            for cause, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        said = f"{allowed} of {total} denial{'' if total == 1 else 's'} would be allowed now"
        return f"{said}; {total - allowed} would not: {rest}" if rest else said


def key_of(access: Access) -> DenialKey:
    """The denial's identity that an access belongs to."""
    return DenialKey(
        Context.parse(access.source).type, Context.parse(access.target).type, access.tclass, access.permission
    )


def accesses(lines: Iterable[bytes], renamed: tuple[str, str] = ("", "")) -> list[Access]:
    """The distinct accesses that `lines` record as denied, in order; `renamed` is a type and the one to ask for in its place."""
    found: dict[Access, None] = {}
    for event in read_events(lines):
        for avc in event.denials():
            if not avc.granted and not avc.userspace:
                source, target = (_renamed(context, renamed) for context in (avc.source, avc.target))
                found |= dict.fromkeys(
                    Access(source, target, avc.tclass, permission) for permission in avc.permissions
                )
    return list(found)


def _renamed(context: Context, renamed: tuple[str, str]) -> str:
    old, new = renamed
    return str(
        Context(context.user, context.role, new, context.level) if old and context.type == old else context
    )


def replay(policy: Path, asked: Sequence[Access], *, booleans: bool = False, names: bool = False) -> Replay:
    """What the linked policy in the file `policy` decides about each access; with `booleans`, also whether one stands in its way, and
    with `names` which one."""
    return Replay(tuple(ask(policy, asked, booleans=booleans, names=names)))
