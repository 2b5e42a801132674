"""List what a candidate adds to the base policy: rules with their risk, and what a domain can reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from selab.policy.language.cil import Rule
from selab.policy.language.commands import ALLOWX, EVERY_COMMAND, LIMITING, in_te
from selab.policy.language.statements import braced
from selab.policy.query.index import SELF, PolicyIndex, union
from selab.policy.query.risk import Level, Risk, risk_of

WRITES = frozenset(
    {"write", "append", "create", "unlink", "rename", "setattr", "add_name", "remove_name", "link"}
)
FILES = frozenset({"file", "dir", "lnk_file", "sock_file", "fifo_file", "chr_file", "blk_file"})
_KINDS = {
    "writes to": (FILES, WRITES),
    "executes": (frozenset({"file"}), frozenset({"execute", "execute_no_trans", "entrypoint"})),
    "becomes": (frozenset({"process"}), frozenset({"transition", "dyntransition"})),
    "listens on": (frozenset({"tcp_socket", "udp_socket", "sctp_socket"}), frozenset({"name_bind"})),
    "connects to": (frozenset({"tcp_socket", "udp_socket", "sctp_socket"}), frozenset({"name_connect"})),
}
DOMAIN = "domain"
IOCTL = "ioctl"
GENERATED = "_typeattr_"
"""The compiler generates an attribute with this in its name for a set in a rule (module_to_cil.c)."""


@dataclass(frozen=True, order=True)
class Access:
    """What a rule lets one type do to another.

    source: the acting type.
    target: the other type, or `self`.
    tclass: object class.
    permissions: their names, sorted.
    condition: boolean expression that the rule depends on, or empty.
    commands: the ioctl commands that allowxperm rules limit it to (`{ 0x8927 0x8933 }`), or empty.
    off: whether the rule has no effect while the booleans of the condition have their defaults.
    """

    source: str
    target: str
    tclass: str
    permissions: tuple[str, ...]
    condition: str = ""
    commands: str = ""
    off: bool = False

    def __str__(self) -> str:
        condition = _if(self.condition, self.off)
        commands = f" {self.commands}" if self.commands else ""
        return f"{self.source} {self.target}:{self.tclass} {braced(self.permissions)}{commands}{condition}"


def _if(condition: str, off: bool) -> str:
    return f" if {condition}{' (off)' if off else ''}" if condition else ""


@dataclass(frozen=True)
class Addition:
    """An access that a candidate's rules grant.

    access: the access.
    risk: what it may lead to.
    by_template: whether the call of a container template grants it, not a rule of the author.
    """

    access: Access
    risk: Risk
    by_template: bool = False


@dataclass(frozen=True)
class Reach:
    """What a domain can do, by kind (`writes to`, `executes` ...).

    domain: the type of the domain.
    attributes: attributes of the type, without generated ones.
    own: target types that the candidates' rules reach. Types that they reach only under booleans that are off
        come last, and say so.
    inherited: number of types that it reaches by rules about its attributes.
    switched_off: number of further types that it would reach so under booleans that are off.
    """

    domain: str
    attributes: tuple[str, ...]
    own: Mapping[str, tuple[str, ...]]
    inherited: Mapping[str, int]
    switched_off: Mapping[str, int]


def granted(index: PolicyIndex) -> frozenset[Access]:
    """Return what the candidates' own allow rules grant, one permission each.

    An ioctl has the commands of the allowxperm rules that apply, also if only these are the candidates' own
    and allow commands that the base policy does not.
    """
    changes = _IoctlChanges(index)
    return frozenset(
        Access(
            source,
            target,
            rule.tclass,
            (permission,),
            rule.condition,
            commands,
            not index.is_on(rule.condition),
        )
        for part in index.candidates
        for rule in part.rules
        if rule.kind in ("allow", ALLOWX)
        for source, target in _pairs(rule, index)
        if rule.kind == "allow" or changes.adds(source, target, rule.tclass)
        for permission in _left(rule, source, target, index)
        if (commands := _commands(source, target, rule.tclass, permission, index)) is not None
    )


def _left(rule: Rule, source: str, target: str, index: PolicyIndex) -> frozenset[str]:
    """Return the permissions of a rule that deny rules leave to at least one pair of types."""
    permissions = rule.permissions if rule.kind == "allow" else frozenset({IOCTL})
    denying = (each.permissions for each in index.deny_rules.get(rule.tclass, ()))
    lost = permissions & frozenset[str]().union(*denying)
    if not lost:
        return permissions
    taken = lost
    for subject in index.members(source):
        for other in (subject,) if target == SELF else index.members(target):
            taken = taken & index.denied(subject, other, rule.tclass)
    return permissions - taken


def limited(index: PolicyIndex) -> frozenset[Access]:
    """Return the ioctls that the base policy allows and the candidates' extended rules take away.

    Each has the commands that remain; `commands` is empty if none does. For a named attribute these are the
    commands that remain for each of its types, and rules about a single type may leave it more.
    """
    changes = _IoctlChanges(index)
    return frozenset(
        Access(
            source,
            target,
            rule.tclass,
            (IOCTL,),
            rule.condition,
            _commands(source, target, rule.tclass, IOCTL, index) or "",
            not index.is_on(rule.condition),
        )
        for part in index.candidates
        for rule in part.rules
        if rule.kind in LIMITING
        for source, target in _pairs(rule, index)
        if changes.removes(source, target, rule.tclass)
    )


class _IoctlChanges:
    """Compares the ioctl commands that the base policy alone allows with those that are allowed now."""

    def __init__(self, index: PolicyIndex) -> None:
        self._index = index
        self._own = {id(rule) for part in index.candidates for rule in part.rules}
        self._limited_in_base = {rule.tclass for rule in index.base.rules if rule.kind in LIMITING}

    def adds(self, source: str, target: str, tclass: str) -> bool:
        """Return whether extended rules allow commands that the base policy's extended rules do not."""
        return tclass in self._limited_in_base and any(
            now & ~before for before, now in self._sets(source, target, tclass)
        )

    def removes(self, source: str, target: str, tclass: str) -> bool:
        """Return whether extended rules take away commands that the base policy allows."""
        return any(before & ~now for before, now in self._sets(source, target, tclass))

    def _sets(self, source: str, target: str, tclass: str) -> Iterator[tuple[int, int]]:
        """Yield the commands before and now for each pair of types that may do an ioctl."""
        index = self._index
        for subject in index.members(source):
            allow = [
                rule
                for rule in index.rules_of(subject)
                if rule.tclass == tclass and IOCTL in rule.permissions
            ]
            others = frozenset({subject}) if target == SELF else index.members(target)
            for rule in allow:
                reached = frozenset({subject}) if rule.target == SELF else index.members(rule.target)
                for other in others & reached:
                    applying = [each for each in allow if index.covers(each, subject, other)]
                    extended = index.extended(subject, other, tclass)
                    before = self._allowed(self._of_base(applying), self._of_base(extended))
                    yield before, self._allowed(applying, extended)

    def _of_base(self, rules: Iterable[Rule]) -> list[Rule]:
        return [rule for rule in rules if id(rule) not in self._own]

    @staticmethod
    def _allowed(allow: list[Rule], extended: list[Rule]) -> int:
        if not allow:
            return 0
        return union(extended) if extended else EVERY_COMMAND


def _commands(source: str, target: str, tclass: str, permission: str, index: PolicyIndex) -> str | None:
    """Return the commands that an ioctl is limited to; empty if there is no limit, None if it allows none."""
    if permission != IOCTL:
        return ""
    listed = index.commands(source, source if target == SELF else target, tclass)
    return "" if listed is None else in_te(listed) if listed else None


def additions(
    index: PolicyIndex, beside: frozenset[Access] = frozenset(), template: frozenset[Access] = frozenset()
) -> list[Addition]:
    """Return what the candidates' own rules grant and `beside` lacks, the most dangerous first.

    `template` is what the container template grants by itself.
    """
    new = granted(index) - beside
    judged = [
        Addition(
            access,
            risk_of(
                index,
                access.source,
                access.source if access.target == SELF else access.target,
                access.tclass,
                access.permissions,
            ),
            by_template,
        )
        for accesses, by_template in ((new - template, False), (new & template, True))
        for access in together(accesses)
    ]
    permissive = {
        Access(name, SELF, "process", ("permissive",))
        for part in index.candidates
        for name in part.permissive
    }
    judged += [
        Addition(access, Risk(Level.HIGH, "nothing is denied to a permissive domain"))
        for access in permissive
    ]
    return sorted(judged, key=lambda access: (-access.risk.level, access.access))


def together(single: Iterable[Access]) -> list[Access]:
    """Merge accesses that differ in their permissions only."""
    permissions_of: dict[Access, set[str]] = {}
    for access in single:
        permissions_of.setdefault(replace(access, permissions=()), set()).update(access.permissions)
    return sorted(
        replace(access, permissions=tuple(sorted(permissions)))
        for access, permissions in permissions_of.items()
    )


def _pairs(rule: Rule, index: PolicyIndex) -> Iterator[tuple[str, str]]:
    """Expand a rule for each type that a generated set stands for; named attributes are not expanded."""
    for source in _named(rule.source, index):
        for target in _named(rule.target, index):
            yield source, SELF if target == source and source in index.types else target


def _named(name: str, index: PolicyIndex) -> list[str]:
    return sorted(index.members(name)) if GENERATED in name else [index.resolve(name)]


def reaches(index: PolicyIndex) -> list[Reach]:
    """Return what each domain that the candidates declare can reach."""
    own_rules = {id(rule) for part in index.candidates for rule in part.rules}
    return [_reach(name, index, own_rules) for name in sorted(index.own_types & index.members(DOMAIN))]


def _reach(domain: str, index: PolicyIndex, own_rules: set[int]) -> Reach:
    every = index.rules_of(domain)
    own: dict[str, tuple[str, ...]] = {}
    inherited: dict[str, int] = {}
    switched_off: dict[str, int] = {}
    for kind, (classes, permissions) in _KINDS.items():
        rules = [
            rule for rule in every if rule.tclass in classes and not permissions.isdisjoint(rule.permissions)
        ]
        reachable = _Reachable(domain, permissions, index)
        mine = reachable.own([rule for rule in rules if id(rule) in own_rules])
        own |= {kind: mine} if mine else {}
        theirs, off = reachable.inherited([rule for rule in rules if id(rule) not in own_rules])
        inherited[kind], switched_off[kind] = len(theirs), len(off)
    attributes = tuple(sorted(name for name in index.attributes_of(domain) if GENERATED not in name))
    return Reach(domain, attributes, own, inherited, switched_off)


@dataclass(frozen=True)
class _Reachable:
    """What rules let a domain reach in one way, if no deny rule takes it away.

    domain: the type of the domain.
    permissions: the permissions of which each reaches a type in this way.
    index: the policy.
    """

    domain: str
    permissions: frozenset[str]
    index: PolicyIndex

    def own(self, rules: Iterable[Rule]) -> tuple[str, ...]:
        """Return the targets of the candidates' rules, each once; those of rules that are off come last."""
        condition_of: dict[str, str] = {}
        for rule in sorted(rules, key=lambda rule: not self.index.is_on(rule.condition)):
            condition = "" if self.index.is_on(rule.condition) else rule.condition
            for name in _named(rule.target, self.index):
                if self._reaches_any(rule, name):
                    condition_of.setdefault(name, condition)
        targets = sorted(condition_of.items(), key=lambda pair: (bool(pair[1]), pair[0]))
        return tuple(f"{_with_ports(name, self.index)}{_if(condition, True)}" for name, condition in targets)

    def inherited(self, rules: Iterable[Rule]) -> tuple[frozenset[str], frozenset[str]]:
        """Return the types that rules reach, and those that they would reach under booleans that are off."""
        on, off = set[str](), set[str]()
        for rule in rules:
            (on if self.index.is_on(rule.condition) else off).update(self._types(rule, rule.target))
        return frozenset(on), frozenset(off - on)

    def _reaches_any(self, rule: Rule, target: str) -> bool:
        """Return whether deny rules leave something of `target`: a type, an attribute or `self`."""
        if rule.tclass not in self.index.deny_rules:
            return True
        return self._is_left(rule, self.domain) if target == SELF else bool(self._types(rule, target))

    def _is_left(self, rule: Rule, target: str) -> bool:
        """Return whether deny rules leave a permission of the rule for the type `target`."""
        denied = self.index.denied(self.domain, target, rule.tclass)
        return bool((rule.permissions & self.permissions) - denied)

    def _types(self, rule: Rule, target: str) -> frozenset[str]:
        """Return the types in `target`, a type or an attribute, that the rule lets the domain reach."""
        types = self.index.members(target)
        if rule.tclass not in self.index.deny_rules:
            return types
        return frozenset(name for name in types if self._is_left(rule, name))


def _with_ports(name: str, index: PolicyIndex) -> str:
    """Format a port type with its ports: `http_port_t (tcp 80, tcp 443)`."""
    ports = index.ports(name)
    return f"{name} ({', '.join(ports)})" if ports else name
