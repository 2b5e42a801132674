"""What a candidate adds to the base policy, as a reviewer asks for it: rules with their risk, and what a domain can reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from selab.policy.language.cil import Rule
from selab.policy.language.statements import braced
from selab.policy.query.index import SELF, PolicyIndex
from selab.policy.query.risk import Level, Risk, risk_of

WRITES = frozenset(
    {"write", "append", "create", "unlink", "rename", "setattr", "add_name", "remove_name", "link"}
)
_FILES = frozenset({"file", "dir", "lnk_file", "sock_file", "fifo_file", "chr_file", "blk_file"})
_ASKED = {
    "writes to": (_FILES, WRITES),
    "executes": (frozenset({"file"}), frozenset({"execute", "execute_no_trans", "entrypoint"})),
    "becomes": (frozenset({"process"}), frozenset({"transition", "dyntransition"})),
    "listens on": (frozenset({"tcp_socket", "udp_socket", "sctp_socket"}), frozenset({"name_bind"})),
    "connects to": (frozenset({"tcp_socket", "udp_socket", "sctp_socket"}), frozenset({"name_connect"})),
}
DOMAIN = "domain"
GENERATED = "_typeattr_"
"""In the names of attributes that the compiler makes of the sets in a rule (libsepol, module_to_cil.c)."""


@dataclass(frozen=True, order=True)
class Access:
    """What a rule lets one type do to another (or to `self`); `condition` is the boolean that it hangs on."""

    source: str
    target: str
    tclass: str
    permissions: tuple[str, ...]
    condition: str = ""

    def __str__(self) -> str:
        return f"{self.source} {self.target}:{self.tclass} {braced(self.permissions)}{f' if {self.condition}' if self.condition else ''}"


@dataclass(frozen=True)
class Addition:
    """An access that a candidate's rules grant, and what it may lead to."""

    access: Access
    risk: Risk


@dataclass(frozen=True)
class Reach:
    """What a domain can do, by kind (`writes to`, `executes` ...): by its own rules, and by attributes that it is a member of."""

    domain: str
    attributes: tuple[str, ...]
    own: Mapping[str, tuple[str, ...]]
    inherited: Mapping[str, int]


def granted(index: PolicyIndex) -> frozenset[Access]:
    """What the candidates' own allow rules grant, one permission each."""
    return frozenset(
        Access(source, target, rule.tclass, (permission,), rule.condition)
        for part in index.candidates
        for rule in part.rules
        if rule.kind == "allow"
        for source, target in _pairs(rule, index)
        for permission in rule.permissions
    )


def additions(index: PolicyIndex, beside: frozenset[Access] = frozenset()) -> list[Addition]:
    """What the candidates' own rules grant and `beside` does not have, the most dangerous first."""
    judged = [
        Addition(
            one,
            risk_of(
                index,
                one.source,
                one.source if one.target == SELF else one.target,
                one.tclass,
                one.permissions,
            ),
        )
        for one in together(granted(index) - beside)
    ]
    permissive = {
        Access(name, SELF, "process", ("permissive",))
        for part in index.candidates
        for name in part.permissive
    }
    judged += [
        Addition(one, Risk(Level.HIGH, "nothing is denied to a permissive domain")) for one in permissive
    ]
    return sorted(judged, key=lambda one: (-one.risk.level, one.access))


def together(single: Iterable[Access]) -> list[Access]:
    """Accesses that differ in their permissions only, as one."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    for one in single:
        found.setdefault((one.source, one.target, one.tclass, one.condition), set()).update(one.permissions)
    return sorted(Access(*key[:3], tuple(sorted(permissions)), key[3]) for key, permissions in found.items())


def _pairs(rule: Rule, index: PolicyIndex) -> Iterator[tuple[str, str]]:
    """The rule for each type that a generated set stands for; an attribute with a name of its own is told by that."""
    for source in _named(rule.source, index):
        for target in _named(rule.target, index):
            yield source, SELF if target == source else target


def _named(name: str, index: PolicyIndex) -> list[str]:
    return sorted(index.members(name)) if GENERATED in name else [index.resolve(name)]


def reaches(index: PolicyIndex) -> list[Reach]:
    """What each domain that the candidates declare can reach."""
    own_rules = {id(rule) for part in index.candidates for rule in part.rules}
    return [_reach(name, index, own_rules) for name in sorted(index.own_types & index.members(DOMAIN))]


def _reach(domain: str, index: PolicyIndex, own_rules: set[int]) -> Reach:
    every = index.rules_of(domain)
    own: dict[str, tuple[str, ...]] = {}
    inherited: dict[str, int] = {}
    for said, (classes, permissions) in _ASKED.items():
        rules = [
            rule for rule in every if rule.tclass in classes and not permissions.isdisjoint(rule.permissions)
        ]
        mine = {name for rule in rules if id(rule) in own_rules for name in _named(rule.target, index)}
        theirs = frozenset[str]().union(
            *(index.members(rule.target) for rule in rules if id(rule) not in own_rules)
        )
        own |= {said: tuple(_with_ports(name, index) for name in sorted(mine))} if mine else {}
        inherited[said] = len(theirs)
    attributes = tuple(sorted(name for name in index.attributes_of(domain) if GENERATED not in name))
    return Reach(domain, attributes, own, inherited)


def _with_ports(name: str, index: PolicyIndex) -> str:
    """A port's type with its numbers: `http_port_t (tcp 80, tcp 443)`."""
    ports = index.ports(name)
    return f"{name} ({', '.join(ports)})" if ports else name
