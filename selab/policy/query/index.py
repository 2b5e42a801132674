"""Answer who may do what to whom in a base policy with candidates, from their CIL and without linking it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selab.policy.base import BasePolicy
from selab.policy.language.cil import OPERATORS, Node, Rule, holds, members, names_in, statements
from selab.policy.language.commands import ALLOWX, LIMITING, commands_in, names_extended_rule
from selab.policy.language.declarations import Declarations, read_candidates, read_flat

if TYPE_CHECKING:
    from selab.policy.compile import CompiledModule

ALLOW = frozenset({"allow"})
DENY = "deny"
SELF = "self"
EVERYTHING = "*"


class PolicyIndex:
    """The rules, types and attributes of a base policy and candidates.

    base, candidates: the parts that the index is made of.
    types, attributes: names from all parts.
    booleans: booleans with their default values.
    by_message: classes for which selab does not know which netlink messages are allowed.

    The index knows what rules grant, but not what constraints, roles and type bounds restrict: a linked
    policy decides that (selab.policy.query.decide). It does not contain optional blocks of the base that a
    candidate would enable.
    """

    def __init__(self, base: Declarations, candidates: Sequence[Declarations] = ()) -> None:
        self.base = base
        self.candidates = tuple(candidates)
        parts = (base, *candidates)
        self.types: frozenset[str] = frozenset().union(*(part.types for part in parts))
        self.attributes: frozenset[str] = frozenset().union(*(part.attributes for part in parts))
        self.booleans = {name: value for part in parts for name, value in part.booleans.items()}
        self.by_message: frozenset[str] = frozenset().union(*(part.by_message for part in parts))
        self._aliases = {alias: actual for part in parts for alias, actual in part.aliases.items()}
        self._sets = _Sets(self.attributes, self._aliases, parts)
        self._granted: dict[str, dict[str, dict[str, set[str]]]] = {}
        self._named: dict[frozenset[str], frozenset[str]] = {}

    @classmethod
    def of(cls, base: BasePolicy, candidates: Sequence[CompiledModule] = ()) -> PolicyIndex:
        """Index `base` with `candidates`. A base is read once per process."""
        declared = _base_declarations(base.flat)
        return cls(declared, read_candidates([each.cil for each in candidates], declared))

    @functools.cached_property
    def own_types(self) -> frozenset[str]:
        """Return the types that the candidates declare."""
        return frozenset[str]().union(*(part.types for part in self.candidates))

    def resolve(self, name: str) -> str:
        """Return the type that an alias stands for; other names are returned unchanged."""
        return self._aliases.get(name, name)

    def attributes_of(self, name: str) -> frozenset[str]:
        """Return every attribute of the type, generated ones included; empty if `name` is not a type."""
        return self._attributes_of.get(self.resolve(name), frozenset())

    def members(self, attribute: str) -> frozenset[str]:
        """Return the types in an attribute: all for `*`, the type itself for a type, none if unknown."""
        if attribute == EVERYTHING:
            return self.types
        attribute = self.resolve(attribute)
        return frozenset({attribute}) & self.types or self._members.get(attribute, frozenset())

    def named(self, names: frozenset[str]) -> frozenset[str]:
        """Return the names and all types in those of them that are attributes."""
        if names not in self._named:
            self._named[names] = names.union(*map(self.members, names))
        return self._named[names]

    def stands_for(self, written: str, name: str) -> bool:
        """Return whether `written` (a type, an alias, an attribute, `*`) includes the type `name`."""
        return written == EVERYTHING or self.resolve(written) in self._standing_for(name)

    def rules_of(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """Return the rules whose source is the type or an attribute of the type."""
        return [
            rule
            for each in self._standing_for(name)
            for rule in self._by_source.get(each, ())
            if rule.kind in kinds
        ]

    def written_for(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """Return the rules whose source is written as `name`: what membership in an attribute grants."""
        return [rule for rule in self._by_source.get(self.resolve(name), ()) if rule.kind in kinds]

    def permissions(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """Return what unconditional allow rules grant between two types, and no deny rule takes away."""
        source, target = self.resolve(source), self.resolve(target)
        if source not in self._granted:
            granted: dict[str, dict[str, set[str]]] = {}
            self._granted[source] = granted
            for rule in self.rules_of(source):
                if not rule.condition:
                    written = granted.setdefault(rule.tclass, {})
                    written.setdefault(self.resolve(rule.target), set()).update(rule.permissions)
        written = self._granted[source].get(tclass, {})
        names = {*self._standing_for(target), *([SELF] if source == target else [])}
        granted_to_names = frozenset[str]().union(*(written[name] for name in written.keys() & names))
        return granted_to_names - self.denied(source, target, tclass)

    def denied(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """Return what deny rules take away between two types, whatever the allow rules are."""
        rules = self.deny_rules.get(tclass, ())
        return frozenset[str]().union(
            *(rule.permissions for rule in rules if self.covers(rule, source, target))
        )

    @functools.cached_property
    def deny_rules(self) -> dict[str, list[Rule]]:
        """Return the deny rules by class."""
        return self._grouped((rule.tclass, rule) for rule in self._rules() if rule.kind == DENY)

    def conditional(self, source: str, target: str, tclass: str) -> Mapping[str, tuple[str, ...]]:
        """Return the conditions under which allow rules grant each permission between two types.

        What a deny rule takes away is granted under no condition.
        """
        denied = self.denied(source, target, tclass)
        conditions_of: dict[str, dict[str, None]] = {}
        for rule in self.rules_of(source):
            if rule.condition and rule.tclass == tclass and self.covers(rule, source, target):
                for permission in rule.permissions - denied:
                    conditions_of.setdefault(permission, {})[rule.condition] = None
        return {permission: tuple(conditions) for permission, conditions in conditions_of.items()}

    def is_on(self, condition: str) -> bool:
        """Return whether a rule with this condition is in force while the booleans have their defaults."""
        return not condition or holds(condition, self.booleans)

    def covers(self, rule: Rule, source: str, target: str) -> bool:
        """Return whether the rule applies to the two types."""
        on = self._standing_for(target)
        same = self.resolve(source) == self.resolve(target)
        return self.resolve(rule.source) in self._standing_for(source) and (
            same if rule.target == SELF else self.resolve(rule.target) in on
        )

    def extended(self, source: str, target: str, tclass: str) -> list[Rule]:
        """Return the extended rules that apply to the two types and the class."""
        return [
            rule
            for rule in self.rules_of(source, LIMITING)
            if rule.tclass == tclass and self.covers(rule, source, target)
        ]

    def commands(self, source: str, target: str, tclass: str) -> int | None:
        """Return the ioctl commands that the extended rules for two types allow; None without such a rule."""
        rules = self.extended(source, target, tclass)
        return union(rules) if rules else None

    def ports(self, name: str) -> tuple[str, ...]:
        """Return the ports of a type from the policy's portcon statements: `tcp 80`, `udp 1024-32767`."""
        parts = (self.base, *self.candidates)
        return tuple(
            port
            for part in parts
            for written, ports in part.ports.items()
            if self.resolve(written) == self.resolve(name)
            for port in ports
        )

    @functools.cached_property
    def _members(self) -> dict[str, frozenset[str]]:
        return self._sets.expanded(self.types)

    @functools.cached_property
    def _attributes_of(self) -> dict[str, frozenset[str]]:
        attributes_of: dict[str, set[str]] = {}
        for attribute, types in self._members.items():
            for name in types:
                attributes_of.setdefault(name, set()).add(attribute)
        return {name: frozenset(attributes) for name, attributes in attributes_of.items()}

    def _standing_for(self, name: str) -> list[str]:
        name = self.resolve(name)
        return [name, *self.attributes_of(name)]

    @functools.cached_property
    def _by_source(self) -> dict[str, list[Rule]]:
        return self._grouped((self.resolve(rule.source), rule) for rule in self._rules())

    def _rules(self) -> Iterator[Rule]:
        for part in (self.base, *self.candidates):
            yield from part.rules

    @staticmethod
    def _grouped(pairs: Iterable[tuple[str, Rule]]) -> dict[str, list[Rule]]:
        grouped: dict[str, list[Rule]] = {}
        for name, rule in pairs:
            grouped.setdefault(name, []).append(rule)
        return grouped


def has_extended_rules(base: BasePolicy, candidates: Sequence[CompiledModule]) -> bool:
    """Return whether any part has an extended rule, without reading the parts."""
    return base.limits_ioctl or any(names_extended_rule(each.cil) for each in candidates)


def union(rules: Iterable[Rule]) -> int:
    """Return the set of the ioctl commands that extended rules allow."""
    commands = 0
    for rule in (rule for rule in rules if rule.kind == ALLOWX):
        for text in rule.permissions:
            commands |= commands_in(statements(text)[0])
    return commands


class _Sets:
    """Resolves attributes to their members."""

    def __init__(
        self, attributes: frozenset[str], aliases: Mapping[str, str], parts: Iterable[Declarations]
    ) -> None:
        self._attributes = attributes
        self._aliases = aliases
        self._listed: dict[str, set[str]] = {}
        self._expressions: dict[str, list[Node]] = {}
        for part in parts:
            for attribute, expressions in part.memberships.items():
                for expression in expressions:
                    self._add(attribute, expression)

    def _add(self, attribute: str, expression: Node) -> None:
        """Store an expression. Most are plain lists of names, which are looked up instead of evaluated."""
        attribute = self._aliases.get(attribute, attribute)
        if all(isinstance(part, str) for part in expression) and not OPERATORS & set(expression[:1]):
            names = names_in(expression)
            self._listed.setdefault(attribute, set()).update(self._aliases.get(name, name) for name in names)
        else:
            self._expressions.setdefault(attribute, []).append(expression)

    def expanded(self, types: frozenset[str]) -> dict[str, frozenset[str]]:
        """Return the members out of `types` of each attribute that has any."""
        known: dict[str, frozenset[str]] = {}

        def named(name: str) -> frozenset[str]:
            name = self._aliases.get(name, name)
            if name not in self._attributes:
                return frozenset({name}) & types
            if name not in known:
                # The linker rejects an attribute defined by itself; it must not cause an endless loop here.
                known[name] = frozenset()
                listed = self._listed.get(name, set())
                nested = map(named, listed & self._attributes)
                expressions = (members(each, types, named) for each in self._expressions.get(name, ()))
                known[name] = (types & listed).union(*nested, *expressions)
            return known[name]

        return {attribute: members_of for attribute in self._attributes if (members_of := named(attribute))}


@functools.lru_cache(maxsize=2)
def _base_declarations(flat: Path) -> Declarations:
    """Read a flat base once: it never changes, because its directory is named by its fingerprint."""
    return read_flat(flat.read_text())
