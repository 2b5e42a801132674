"""Rate what an access may lead to, such as an escape from the container, by the table in risk.toml."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from selab.policy.query.index import PolicyIndex

TABLE = Path(__file__).with_name("risk.toml")
EVERY = "*"


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
    targets, attributes: target types, and attributes of target types; if both are empty, any type.
    own: true if source and target must be the same type, false if they must differ.
    """

    level: Level
    reason: str
    classes: frozenset[str]
    permissions: frozenset[str]
    targets: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    own: bool | None = None

    def matches(self, index: PolicyIndex, source: str, target: str) -> bool:
        if self.own is not None and self.own is not (source == target):
            return False
        anywhere = not self.targets and not self.attributes
        return (
            anywhere
            or target in self.targets
            or any(target in index.members(name) for name in self.attributes)
        )


LOW = Risk(Level.LOW)


def risk_of(index: PolicyIndex, source: str, target: str, tclass: str, permissions: Iterable[str]) -> Risk:
    """Return the worst risk of `permissions`, judged by the attributes that the policy gives the target.

    `target` is a type, or an attribute or `*`, which are as dangerous as their worst member. Access to files
    of a candidate's own types is a low risk.
    """
    members = index.members(target) or {target}
    rules = [_rules(tclass, permission) for permission in permissions]
    risks = (_risk(index, source, member, tclass, each) for each in rules if each for member in members)
    return max(risks, key=lambda risk: risk.level, default=LOW)


def _risk(index: PolicyIndex, source: str, target: str, tclass: str, rules: Iterable[RiskRule]) -> Risk:
    if source != target and tclass != "process" and target in index.own_types:
        return LOW
    return next((Risk(rule.level, rule.reason) for rule in rules if rule.matches(index, source, target)), LOW)


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
            frozenset(row.get("targets", ())),
            frozenset(row.get("attributes", ())),
            row.get("own"),
        )
        for row in rows
    )
