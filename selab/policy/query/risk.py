"""Rate what an access may lead to, such as an escape from the container, by the table in risk.toml."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from selab.policy.query.index import PolicyIndex

TABLE = Path(__file__).with_name("risk.toml")
EVERY = "*"
BOTH = "both"
FAMILIES = (BOTH, "refpolicy", "fedora")
"""The keys of a row's names: what both families of policies have, and what one of them has."""


class Level(IntEnum):
    """How dangerous a rule is; the values are ordered."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Risk:
    """What an access may lead to.

    level: how dangerous it is.
    reason: why; empty for the lowest level.
    """

    level: Level
    reason: str = ""


@dataclass(frozen=True)
class RiskRule:
    """A row of the table.

    level, reason: the risk of a matching access.
    classes: object classes.
    permissions: their names, or `*` for any.
    names: target types and attributes of target types, by the family of policies that has them; if there are
        none, the rule is about any type.
    own: true if source and target must be the same type, false if they must differ.
    """

    level: Level
    reason: str
    classes: frozenset[str]
    permissions: frozenset[str]
    names: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    own: bool | None = None

    def matching(self, index: PolicyIndex, source: str, targets: frozenset[str]) -> frozenset[str]:
        """Return those of the types `targets` that the row is about."""
        if self.own is not None:
            targets = targets & {source} if self.own else targets - {source}
        return targets & index.named(self._all_names) if self.names else targets

    @functools.cached_property
    def _all_names(self) -> frozenset[str]:
        return frozenset[str]().union(*self.names.values())


LOW = Risk(Level.LOW)


def risk_of(index: PolicyIndex, source: str, target: str, tclass: str, permissions: Iterable[str]) -> Risk:
    """Return the worst risk of `permissions`, judged by the attributes that the policy gives the target.

    `target` is a type, or an attribute or `*`, which are as dangerous as their worst member. Access to files
    of a candidate's own types is a low risk.
    """
    members = index.members(target) or frozenset({target})
    if tclass != "process":
        members -= index.own_types - {source}
    risks = (
        risk
        for permission in permissions
        for risk in _risks(index, source, members, _rules(tclass, permission))
    )
    return max(risks, key=lambda risk: risk.level, default=LOW)


def _risks(
    index: PolicyIndex, source: str, targets: frozenset[str], rules: Iterable[RiskRule]
) -> Iterator[Risk]:
    """Yield the risk of each row that is the first one about some of the types `targets`."""
    for rule in rules:
        if matching := rule.matching(index, source, targets):
            yield Risk(rule.level, rule.reason)
            targets -= matching


@functools.cache
def _rules(tclass: str, permission: str) -> tuple[RiskRule, ...]:
    """Return the rows about a permission, in the order of the table."""
    return tuple(
        rule for rule in _table() if tclass in rule.classes and rule.permissions & {permission, EVERY}
    )


@functools.cache
def _table() -> tuple[RiskRule, ...]:
    rows = tomllib.loads(TABLE.read_text())["rule"]
    return tuple(
        RiskRule(
            Level[row["level"].upper()],
            row["reason"],
            frozenset(row["classes"]),
            frozenset(row["permissions"]),
            {family: _names(row[family]) for family in FAMILIES if family in row},
            row.get("own"),
        )
        for row in rows
    )


def _names(written: Mapping[str, list[str]]) -> frozenset[str]:
    return frozenset(written.get("types", ())) | frozenset(written.get("attributes", ()))


def family_of(index: PolicyIndex) -> str:
    """Return the family that a policy belongs to: the one of which it has most names of the table."""
    return max(FAMILIES[1:], key=lambda family: len(names_of(family) - _unmatched(index, family)))


def names_of(family: str) -> frozenset[str]:
    """Return the names of the table that only this family of policies has."""
    return frozenset[str]().union(*(rule.names.get(family, ()) for rule in _table()))


def names_without_a_type(index: PolicyIndex) -> list[str]:
    """Return the names of the table that match no type, although the policy's family should have them."""
    return sorted(_unmatched(index, BOTH) | _unmatched(index, family_of(index)))


def _unmatched(index: PolicyIndex, family: str) -> frozenset[str]:
    return frozenset(name for name in names_of(family) if not index.members(name))
