"""Questions to a base policy together with candidates, answered from their CIL without linking it: who may do what to whom."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.build import CompiledModule
from selab.policy.cil import Node, Rule, holds, names_in
from selab.policy.declarations import Declarations, read_candidates, read_flat

ALLOW = frozenset({"allow"})
SELF = "self"
EVERYTHING = "*"


class PolicyIndex:
    """The rules, types and attributes of a base policy and candidates. `base` and `candidates` are the parts it is made of.

    It knows what rules say, and not what constraints, roles and type bounds take away again: that is what a linked policy decides
    (selab.policy.decide). Optional blocks of the base that a candidate would switch on are not in it.
    """

    def __init__(self, base: Declarations, candidates: Sequence[Declarations] = ()) -> None:
        self.base = base
        self.candidates = tuple(candidates)
        parts = (base, *candidates)
        self.types: frozenset[str] = frozenset().union(*(part.types for part in parts))
        self.attributes: frozenset[str] = frozenset().union(*(part.attributes for part in parts))
        self._aliases = {alias: actual for part in parts for alias, actual in part.aliases.items()}
        self._sets = _Sets(self.attributes, self._aliases, parts)
        self._attributes_of: dict[str, frozenset[str]] = {}
        self._members: dict[str, frozenset[str]] = {}
        self._granted: dict[str, dict[tuple[str, str], set[str]]] = {}

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
        name = self.resolve(name)
        if name not in self._attributes_of:
            self._attributes_of[name] = self._sets.around({name}) if name in self.types else frozenset()
        return self._attributes_of[name]

    def attributes_for_new_type(self, names: Iterable[str]) -> frozenset[str]:
        """Every attribute that a new type would be a member of which is made a member of the attributes `names`."""
        return self._sets.around(set(names))

    def members(self, attribute: str) -> frozenset[str]:
        """The types in an attribute, all for `*`; of a type or an alias, the type itself; of a name that the policy lacks, none."""
        if attribute == EVERYTHING:
            return self.types
        attribute = self.resolve(attribute)
        if attribute not in self._members:
            found = {each for each in self.types if self._sets.holds(attribute, {each}, {})}
            self._members[attribute] = frozenset(found)
        return self._members[attribute]

    def rules_of(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """The rules whose source is the type, or an attribute that it is in."""
        return [rule for each in self._standing_for(name) for rule in self._by_source.get(each, ()) if rule.kind in kinds]

    def written_for(self, name: str, kinds: Collection[str] = ALLOW) -> list[Rule]:
        """The rules whose source is written as `name`: what membership of an attribute grants by itself."""
        return [rule for rule in self._by_source.get(self.resolve(name), ()) if rule.kind in kinds]

    def permissions(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """What unconditional allow rules grant between two types."""
        source, target = self.resolve(source), self.resolve(target)
        if source not in self._granted:
            granted = self._granted[source] = {}
            for rule in self.rules_of(source):
                if not rule.condition:
                    granted.setdefault((self.resolve(rule.target), rule.tclass), set()).update(rule.permissions)
        names = self._standing_for(target) + ([SELF] if source == target else [])
        return frozenset().union(*(self._granted[source].get((name, tclass), ()) for name in names))

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
            port for part in parts for written, ports in part.ports.items() if self.resolve(written) == self.resolve(name) for port in ports
        )

    def _standing_for(self, name: str) -> list[str]:
        name = self.resolve(name)
        return [name, *self.attributes_of(name)]

    @functools.cached_property
    def _by_source(self) -> dict[str, list[Rule]]:
        return self._grouped((self.resolve(rule.source), rule) for rule in self._rules())

    @functools.cached_property
    def _by_target(self) -> dict[str, list[Rule]]:
        return self._grouped((self.resolve(rule.target), rule) for rule in self._rules())

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
    """Membership of attributes, decided for one type at a time: no attribute is ever expanded to be asked about."""

    def __init__(self, attributes: frozenset[str], aliases: Mapping[str, str], parts: Iterable[Declarations]) -> None:
        self._attributes = attributes
        self._aliases = aliases
        self._listed: dict[str, set[str]] = {}
        self._expressions: dict[str, list[Node]] = {}
        for part in parts:
            for attribute, expressions in part.memberships.items():
                for expression in expressions:
                    self._add(attribute, expression)
        self._nested = {attribute: listed & attributes for attribute, listed in self._listed.items()}

    def _add(self, attribute: str, expression: Node) -> None:
        """A plain list of names, which nearly all expressions are, is looked up and not walked."""
        attribute = self._aliases.get(attribute, attribute)
        if all(isinstance(part, str) for part in expression) and expression[:1] != ["all"]:
            names = names_in(expression)
            self._listed.setdefault(attribute, set()).update(self._aliases.get(name, name) for name in names)
        else:
            self._expressions.setdefault(attribute, []).append(expression)

    def around(self, seeds: set[str]) -> frozenset[str]:
        """The attributes of what is each of `seeds`: a type, or a type that nobody has declared yet in some attributes."""
        known: dict[str, bool] = {}
        return frozenset(attribute for attribute in self._attributes if self.holds(attribute, seeds, known))

    def holds(self, name: str, seeds: set[str], known: dict[str, bool]) -> bool:
        """Whether `name` stands for a set with `seeds` in it; `known` keeps the answers for the same seeds."""
        name = self._aliases.get(name, name)
        if name in seeds:
            return True
        if name not in self._attributes:
            return False
        if name not in known:
            # An attribute in terms of itself is an error to the linker; it must not be an endless loop here.
            known[name] = False
            known[name] = (
                not seeds.isdisjoint(self._listed.get(name, ()))
                or any(self.holds(each, seeds, known) for each in self._nested.get(name, ()))
                or any(holds(each, lambda part: self.holds(part, seeds, known)) for each in self._expressions.get(name, ()))
            )
        return known[name]


@functools.lru_cache(maxsize=2)
def _base_declarations(flat: Path) -> Declarations:
    """A flat base never changes: its directory is named by its fingerprint."""
    return read_flat(flat.read_text())
