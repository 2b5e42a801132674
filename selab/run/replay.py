"""What a candidate would decide now about recorded denials, without a VM. Only a run proves a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selab.auditlog.attribution import Owner, Party, Scope, owner_of
from selab.auditlog.classification import UNEXPECTED, Classification, Ruling
from selab.auditlog.context import Context
from selab.auditlog.denials import AvcDenial, DenialKey, with_bare_keys
from selab.auditlog.events import read_events
from selab.policy.language.commands import as_hex
from selab.policy.query.decide import Access, Decision
from selab.policy.query.decide_subprocess import ask


@dataclass(frozen=True)
class Recorded:
    """What was recorded in an earlier run.

    lines: the raw lines of the run's audit window.
    domain: the domain that the run's container had.
    rulings: what the scenario says about the run's own denials; a denial without a ruling is unexpected.
    level: the level that the run's container had; empty if the lines are a log file's.
    others: the run's denials of the container runtime and of the rest of the machine, which no candidate is
        asked about.
    parties: the containers, if there were several; `domain` and `level` are then those of the first.
    """

    lines: Sequence[bytes]
    domain: str
    rulings: Mapping[DenialKey, Ruling] = field(default_factory=dict)
    level: str = ""
    others: frozenset[DenialKey] = frozenset()
    parties: tuple[Party, ...] = ()

    @property
    def _scope(self) -> Scope:
        return Scope(self.parties or (Party(self.domain, self.level),), frozenset())

    def accesses_of(self, domain: str, own_types: frozenset[str] = frozenset()) -> list[Access]:
        """Return the scenario's own recorded accesses, with `domain` in the place of the run's own.

        If there were several containers, their domains stay as they are.
        Of a log file, which does not say whose the denials are, those from or to the domain or one of the
        candidate's `own_types` count.
        """
        others = frozenset(key.without_command for key in self.others)
        types, by_label = own_types | self._scope.domains, self._scope

        def is_own(avc: AvcDenial) -> bool:
            if not self.level:
                return avc.source.type in types or avc.target.type in types
            return others.isdisjoint(avc.keys) or owner_of(avc, by_label) is Owner.SCENARIO

        same = self.parties or domain == self.domain
        return accesses(self.lines, ("", "") if same else (self.domain, domain), is_own)

    def rulings_for(self, domain: str) -> dict[DenialKey, Ruling]:
        """Return the rulings on the recorded denials, with `domain` in the place of the run's own."""

        def renamed(name: str) -> str:
            return domain if name == self.domain and not self.parties else name

        rulings = {
            key._replace(source=renamed(key.source), target=renamed(key.target)): ruling
            for key, ruling in self.rulings.items()
        }
        return with_bare_keys(rulings)


@dataclass(frozen=True)
class Replay:
    """What a policy decides about recorded accesses.

    decisions: one for each distinct access, in the order of the records.
    rulings: what the scenario says about the denials; a denial without a ruling is unexpected.
    """

    decisions: tuple[Decision, ...]
    rulings: Mapping[DenialKey, Ruling] = field(default_factory=dict)

    @property
    def allowed(self) -> frozenset[DenialKey]:
        """The denials whose recorded accesses would all be allowed now."""
        return self._keys - self.denied

    def ruling_on(self, key: DenialKey) -> Ruling:
        """Return what the scenario says about the denial `key`; an entry covers all commands of an ioctl."""
        return self.rulings.get(key) or self.rulings.get(key.without_command, UNEXPECTED)

    @property
    def wrongly_allowed(self) -> frozenset[DenialKey]:
        """The denials that the scenario expects, and that would not occur now."""
        return frozenset(
            key for key in self.allowed if self.ruling_on(key).classification is Classification.EXPECTED
        )

    @property
    def denied(self) -> frozenset[DenialKey]:
        """The denials that have an access which would still be denied, or which cannot be decided."""
        return frozenset(key_of(decision) for decision in self.decisions if not decision.allowed)

    @property
    def _keys(self) -> frozenset[DenialKey]:
        return frozenset(key_of(decision) for decision in self.decisions)

    @property
    def causes(self) -> dict[DenialKey, Decision]:
        """For each denial that would remain, the first decision that denies an access of it."""
        causes: dict[DenialKey, Decision] = {}
        for decision in self.decisions:
            if not decision.allowed:
                causes.setdefault(key_of(decision), decision)
        return causes

    def in_words(self) -> str:
        """Summarise in one line: "21 of 30 denials would be allowed now; 9 would not: 9 missing rule".

        The denials that an entry of the scenario tolerates or expects are counted apart.
        """
        settled = {key for key in self._keys if self.ruling_on(key).stays_denied}
        total, allowed = len(self._keys - settled), len(self.allowed - settled)
        counts = Counter(decision.cause for key, decision in self.causes.items() if key not in settled)
        rest = ", ".join(
            f"{count} {cause.value}"
            for cause, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        kind = "unexpected denial" if settled else "denial"
        parts = [f"{allowed} of {total} {kind}{'' if total == 1 else 's'} would be allowed now"]
        parts += [f"{total - allowed} would not: {rest}"] if rest else []
        stay, wrong = len(settled & self.denied), len(self.wrongly_allowed)
        parts += [f"{stay} would stay denied, as the scenario says"] if stay else []
        parts += [f"{wrong} would be allowed although the scenario expects the denial"] if wrong else []
        return "; ".join(parts)


def key_of(decision: Decision) -> DenialKey:
    """Return the identity of the denial that a decided access belongs to."""
    access = decision.access
    command = as_hex(access.command) if decision.by_command else ""
    source, target = Context.parse(access.source).type, Context.parse(access.target).type
    return DenialKey(source, target, access.tclass, access.permission, command)


def accesses(
    lines: Iterable[bytes],
    renamed: tuple[str, str] = ("", ""),
    is_own: Callable[[AvcDenial], bool] = lambda avc: True,
) -> list[Access]:
    """Return the distinct accesses that `lines` record as denied, in order.

    `renamed` is a type, and the type that replaces it in the accesses. Denials that are not `is_own` are left
    out.
    """
    distinct: dict[Access, None] = {}
    for event in read_events(lines):
        for avc in event.denials():
            if not avc.granted and not avc.userspace and is_own(avc):
                source, target = (_renamed(context, renamed) for context in (avc.source, avc.target))
                distinct |= dict.fromkeys(
                    Access(source, target, avc.tclass, permission, avc.command_of(permission))
                    for permission in avc.permissions
                )
    return list(distinct)


def _renamed(context: Context, renamed: tuple[str, str]) -> str:
    old, new = renamed
    return str(
        Context(context.user, context.role, new, context.level) if old and context.type == old else context
    )


def replay(
    policy: Path,
    requested: Sequence[Access],
    rulings: Mapping[DenialKey, Ruling] | None = None,
    *,
    booleans: bool = False,
    names: bool = False,
) -> Replay:
    """Return what the linked policy in the file `policy` decides about each access.

    `rulings`: what the scenario says about the denials of these accesses. `booleans`: also find out whether a
    boolean causes a denial. `names`: also find out which boolean.
    """
    return Replay(tuple(ask(policy, requested, booleans=booleans, names=names)), rulings or {})
