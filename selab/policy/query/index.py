"""Questions to a base policy together with candidates, answered from their CIL without linking it: who may do what to whom."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.language.cil import Node, Rule, members, names_in
from selab.policy.language.declarations import Declarations, read_candidates, read_flat

ALLOW = frozenset({"allow"})
SELF = "self"
EVERYTHING = "*"


class PolicyIndex:
    """The rules, types and attributes of a base policy and candidates. `base` and `candidates` are the parts it is made of.

    It knows what rules say, and not what constraints, roles and type bounds take away again: that is what a linked policy decides
    (selab.policy.query.decide). Optional blocks of the base that a candidate would switch on are not in it.
    """

    def __init__(self, base: Declarations, candidates: Sequence[Declarations] = ()) -> None:
        self.base = base
        self.candidates = tuple(candidates)
        parts = (base, *candidates)
        self.types: frozenset[str] = frozenset().union(*(part.types for part in parts))
        self.attributes: frozenset[str] = frozenset().union(*(part.attributes for part in parts))
        self._aliases = {alias: actual for part in parts for alias, actual in part.aliases.items()}
        self._sets = _Sets(self.attributes, self._aliases, parts)
        self._granted: dict[str, dict[str, dict[str, set[str]]]] = {}

    @classmethod
    def of(cls, base: BasePolicy, candidates: Sequence[CompiledModule] = ()) -> PolicyIndex:
        """The index of `base` with `candidates`. A base is read once per process."""
        declared = _base_declarations(base.flat)
        return cls(declared, read_candidates([each.cil for each in candidates], declared))

    @functools.cached_property
    def own_types(self) -> frozenset[str]:
        """The types that the candidates declare."""
        return frozenset[str]().union(*(part.types for part in self.candidates))

    def resolve(self, name: str) -> str:
        """The type that an alias stands for; any other name as it is."""
        return self._aliases.get(name, name)

    def attributes_of(self, name: str) -> frozenset[str]:
        """Every attribute that the type is a member of, generated ones included; none for a name that is no type."""
        return self._attributes_of.get(self.resolve(name), frozenset())

    def members(self, attribute: str) -> frozenset[str]:
        """The types in an attribute, all for `*`; of a type or an alias, the type itself; of a name that the policy lacks, none."""
        if attribute == EVERYTHING:
            return self.types
        attribute = self.resolve(attribute)
        return frozenset({attribute}) & self.types or self._members.get(attribute, frozenset())

    def stands_for(self, written: str, name: str) -> bool:
        """Whether `written` in a rule (a type, an alias, an attribute, `*`) speaks of the type `name`."""
        return written == EVERYTHING or self.resolve(written) in self._standing_for(name)

    def rules_of(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """The rules whose source is the type, or an attribute that it is in."""
        return [
            rule
            for each in self._standing_for(name)
            for rule in self._by_source.get(each, ())
            if rule.kind in kinds
        ]

    def written_for(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """The rules whose source is written as `name`: what membership of an attribute grants by itself."""
        return [rule for rule in self._by_source.get(self.resolve(name), ()) if rule.kind in kinds]

    def permissions(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """What unconditional allow rules grant between two types."""
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
        return frozenset[str]().union(*(written[name] for name in written.keys() & names))

    def conditional(self, source: str, target: str, tclass: str) -> Mapping[str, tuple[str, ...]]:
        """The conditions under which allow rules grant each permission between two types."""
        found: dict[str, dict[str, None]] = {}
        for rule in self.rules_of(source):
            if rule.condition and rule.tclass == tclass and self.covers(rule, source, target):
                for permission in rule.permissions:
                    found.setdefault(permission, {})[rule.condition] = None
        return {permission: tuple(conditions) for permission, conditions in found.items()}

    def covers(self, rule: Rule, source: str, target: str) -> bool:
        """Whether the rule speaks of the two types."""
        on = self._standing_for(target)
        same = self.resolve(source) == self.resolve(target)
        return self.resolve(rule.source) in self._standing_for(source) and (
            same if rule.target == SELF else self.resolve(rule.target) in on
        )

    def ports(self, name: str) -> tuple[str, ...]:
        """The ports of a type by the policy's portcon statements: `tcp 80`, `udp 1024-32767`."""
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
        found: dict[str, set[str]] = {}
        for attribute, types in self._members.items():
            for name in types:
                found.setdefault(name, set()).add(attribute)
        return {name: frozenset(attributes) for name, attributes in found.items()}

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
        found: dict[str, list[Rule]] = {}
        for name, rule in pairs:
            found.setdefault(name, []).append(rule)
        return found


class _Sets:
    """What attributes are made of."""

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
        """A plain list of names, which nearly all expressions are, is looked up and not walked."""
        attribute = self._aliases.get(attribute, attribute)
        if all(isinstance(part, str) for part in expression) and expression[:1] != ["all"]:
            names = names_in(expression)
            self._listed.setdefault(attribute, set()).update(self._aliases.get(name, name) for name in names)
        else:
            self._expressions.setdefault(attribute, []).append(expression)

    def expanded(self, types: frozenset[str]) -> dict[str, frozenset[str]]:
        """The members of each attribute that has any out of `types`."""
        known: dict[str, frozenset[str]] = {}

        def named(name: str) -> frozenset[str]:
            name = self._aliases.get(name, name)
            if name not in self._attributes:
                return frozenset({name}) & types
            if name not in known:
                # An attribute in terms of itself is an error to the linker; it must not be an endless loop here.
                known[name] = frozenset()
                listed = self._listed.get(name, set())
                nested = map(named, listed & self._attributes)
                expressions = (members(each, types, named) for each in self._expressions.get(name, ()))
                known[name] = (types & listed).union(*nested, *expressions)
            return known[name]

        return {attribute: found for attribute in self._attributes if (found := named(attribute))}


@functools.lru_cache(maxsize=2)
def _base_declarations(flat: Path) -> Declarations:
    """A flat base never changes: its directory is named by its fingerprint."""
    return read_flat(flat.read_text())
