"""What an access may lead to: out of the container, to root, or to nothing that matters. The table is risk.toml, beside this file."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from selab.policy.index import PolicyIndex

TABLE = Path(__file__).with_name("risk.toml")
EVERY = "*"


class Level(IntEnum):
    """How much a rule opens; the order counts."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Risk:
    """A level, and for all but the lowest why."""

    level: Level
    reason: str = ""


@dataclass(frozen=True)
class RiskRule:
    """A row of the table: what is asked (`*`: anything), of which types or types with which attributes (neither: of any).

    `own`: only where source and target are one type, or only where they are not.
    """

    level: Level
    reason: str
    classes: frozenset[str]
    permissions: frozenset[str]
    targets: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    own: bool | None = None

    def matches(self, source: str, target: str, target_attributes: Collection[str], tclass: str, permission: str) -> bool:
        if tclass not in self.classes or not self.permissions & {permission, EVERY}:
            return False
        if self.own is not None and self.own is not (source == target):
            return False
        anywhere = not self.targets and not self.attributes
        return anywhere or target in self.targets or not self.attributes.isdisjoint(target_attributes)


LOW = Risk(Level.LOW)


def risk_of(index: PolicyIndex, source: str, target: str, tclass: str, permissions: Iterable[str]) -> Risk:
    """The worst that one of `permissions` between two types may lead to, by the attributes that the policy gives the target.

    The files of a candidate's own types are its own affair.
    """
    if source != target and tclass != "process" and any(index.resolve(target) in part.types for part in index.candidates):
        return LOW
    known = index.attributes_of(target)
    found = (_row(source, index.resolve(target), known, tclass, permission) for permission in permissions)
    return max((risk for risk in found if risk), key=lambda risk: risk.level, default=LOW)


def _row(source: str, target: str, attributes: frozenset[str], tclass: str, permission: str) -> Risk | None:
    return next(
        (Risk(rule.level, rule.reason) for rule in _table() if rule.matches(source, target, attributes, tclass, permission)),
        None,
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
