"""Read what macros and blocks of CIL grant, without compiling them.

Taken into account are `allow` rules, rules about an attribute that a type joins, calls in macros, and
optionals, which count if the policy has every name in them. Any other statement that could grant something
raises NotRead: a conditional, a named set of permissions, and an expression of types that join an attribute
of the policy. What others may do with a type because it joins an attribute is not considered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selab.errors import SelabError
from selab.policy.language.cil import OPERATORS, Node, members
from selab.policy.language.cil_names import (
    BOOLEAN,
    PERMISSION,
    PROCESS,
    ROLE,
    TYPE,
    Placed,
    Reference,
    content,
    outwards,
    parameters,
    placed,
    references,
)
from selab.policy.language.cil_source import Statement
from selab.policy.language.statements import Grant
from selab.policy.query.index import SELF, PolicyIndex

MAX_READ = 300_000
"""Statements and grants that are read at most. selab's templates have some thousand."""
COST = 50
"""What an expression counts as, which is evaluated for all types."""
MAX_NESTED = 20
"""How deep calls in macros, and attributes in attributes, may be nested."""
PARAMETER = "$1"
"""What stands for the first parameter of a macro, and for the type of the processes in a block."""
_SILENT = frozenset(
    {
        "auditallow", "blockabstract", "dontaudit", "expandtypeattribute", "macro", "roletype", "type",
        "typeattribute",
    }
)  # fmt: skip
"""Statements that grant a type nothing."""
_DECLARES = frozenset({"type", "typeattribute"})


class NotRead(SelabError):
    """A macro or block has something that selab does not evaluate, or there is too much to read."""

    def __init__(self, what: str) -> None:
        super().__init__("The CIL is not evaluated.", what)


@dataclass(frozen=True)
class Names:
    """What names stand for in a macro or block.

    index: the policy.
    prefixes: names of blocks to look in, in this order, each with its dot; the last one is empty.
    local: what the parameters and the names that a block declares stand for.
    """

    index: PolicyIndex
    prefixes: Sequence[str]
    local: dict[str, Sequence[str]] = field(default_factory=dict)

    def of(self, name: str) -> Sequence[str]:
        """Return the types, attributes and parameters that a name stands for; nothing if it is unknown."""
        if name in self.local or name == SELF:
            return self.local.get(name, [SELF])
        every = [name[1:]] if name.startswith(".") else [f"{prefix}{name}" for prefix in self.prefixes]
        resolved = map(self.index.resolve, every)
        return [each for each in resolved if each in self.index.types or each in self.index.attributes][:1]

    def knows(self, reference: Reference) -> bool:
        """Return whether the policy has a name that an optional requires."""
        name, index = reference.name, self.index
        if reference.kind == TYPE:
            return name in self.local or bool(self.of(name))
        if reference.kind == ROLE:
            return any(name in part.roles for part in (index.base, *index.candidates))
        if reference.kind == BOOLEAN:
            return name in index.booleans
        if reference.kind == PERMISSION:
            return name in index.base.classes.get(reference.tclass, {name})
        return True

    def types(self, name: str) -> frozenset[str]:
        """Return the types that a name stands for, with the members of attributes."""
        return frozenset[str]().union(*(self.index.members(each) or {each} for each in self.of(name)))


class Reader:
    """Reads what macros and blocks grant.

    index: the policy.
    heir: the candidate's block, or empty. A macro finds its names in it if its own blocks lack them.
    macros: the macros by their names, each with its place.
    """

    def __init__(self, index: PolicyIndex, heir: str, macros: Mapping[str, Placed]) -> None:
        self.index = index
        self.macros = macros
        self._heir = heir
        self._around_call = (f"{heir}.", "") if heir else ("",)
        self._known: dict[str, Sequence[Grant] | None] = {}
        self._left = MAX_READ

    def macro(self, name: str, depth: int = 0) -> Sequence[Grant]:
        """Return what a macro grants, with `$1` for its first parameter. Raises NotRead."""
        if name not in self._known:
            self._known[name] = None
            macro = self.macros[name]
            declared, inner = parameters(macro.statement), content(macro.statement)
            if (
                depth > MAX_NESTED
                or any(each.statement.keyword in _DECLARES for each in placed(inner))
                or {*declared.values()} - {TYPE}
            ):
                raise NotRead(name)
            names = Names(
                self.index,
                (*outwards(macro.scope)[:-1], *self._around_call),
                {parameter: [f"${number}"] for number, parameter in enumerate(declared, 1)},
            )
            self._known[name] = self._grants(inner, names, depth)
        granted = self._known[name]
        if granted is None:
            raise NotRead(name)
        return granted

    def block(self, parts: Sequence[Placed]) -> Sequence[Grant]:
        """Return what the candidate's block gets from a block and from those that this one inherits.

        `parts` are all of these. `$1` is the type of the processes. Raises NotRead.
        """
        self.spend(sum(len(part.statement.lists) for part in parts))
        every = (each for part in parts for each in part.statement.lists)
        statements = [each for each in every if each.keyword != "blockinherit"]
        around = dict.fromkeys(
            prefix for part in parts for prefix in outwards((*part.scope, part.statement.name))[:-1]
        )
        names = Names(self.index, (*self._around_call[:-1], *around, ""))
        for each in statements:
            if each.keyword in _DECLARES:
                own = [] if each.keyword == "typeattribute" else [f"{self._heir}.{each.name}"]
                names.local[each.name] = own
        names.local[PROCESS] = [PARAMETER]
        self._fill(names, statements)
        return self._grants(statements, names, 0)

    def _fill(self, names: Names, statements: Sequence[Statement]) -> None:
        """Give the attributes that a block declares their members."""
        own = {each.name for each in statements if each.keyword == "typeattribute"}
        sets = [
            each
            for each in self._effective(statements, names)
            if each.keyword == "typeattributeset" and each.name in own
        ]
        for _ in range(MAX_NESTED):
            before = dict(names.local)
            for each in sets:
                self.spend(COST)
                types = _evaluated(_expression(each), self.index.types, names.types)
                names.local[each.name] = sorted({*names.local[each.name], *types})
            if names.local == before:
                return
        raise NotRead("attributes in attributes")

    def _effective(self, statements: Iterable[Statement], names: Names) -> Iterator[Statement]:
        """Yield the statements, with those in optionals of which the policy has every name."""
        for each in statements:
            self.spend(1)
            if each.keyword != "optional":
                yield each
            elif self._is_in_force(each, names):
                yield from self._effective(each.lists, names)

    @staticmethod
    def _is_in_force(optional: Statement, names: Names) -> bool:
        """Return whether the policy has every name in an optional; an optional in it is judged by itself."""
        required = (each for each in optional.lists if each.keyword != "optional")
        return all(names.knows(name) for each in required for name in references(each))

    def _grants(self, statements: Iterable[Statement], names: Names, depth: int) -> Sequence[Grant]:
        grants: dict[Grant, None] = {}
        for each in self._effective(statements, names):
            for grant in self._granted(each, names, depth):
                self.spend(1)
                grants[grant] = None
        return list(grants)

    def _granted(self, statement: Statement, names: Names, depth: int) -> Iterator[Grant]:
        match statement.keyword:
            case "allow":
                yield from self._allowed(statement, names)
            case "typeattributeset":
                yield from self._joined(statement, names)
            case "call":
                yield from self._called(statement, names, depth)
            case keyword if keyword not in _SILENT:
                raise NotRead(keyword)

    def _allowed(self, rule: Statement, names: Names) -> Iterator[Grant]:
        """Yield what a rule grants between the types and attributes that its names stand for."""
        access = rule.lists[0] if len(rule.words) == 3 and len(rule.lists) == 1 else None
        every = self.index.base.classes.get(access.keyword) if access else None
        if access is None or every is None or len(access.words) != 1 or len(access.lists) != 1:
            raise NotRead("a named set of permissions")
        permissions = _evaluated(_parts(access.lists[0]), every, lambda name: frozenset({name}))
        if not permissions <= every:
            raise NotRead("an unknown permission")
        for source in _named(rule.words[1], names):
            for target in _named(rule.words[2], names):
                yield Grant("allow", source, target, access.keyword, permissions)

    def _joined(self, statement: Statement, names: Names) -> Iterator[Grant]:
        """Yield what types are granted because they join an attribute of the policy."""
        if statement.name in names.local:
            return
        expression = _expression(statement)
        if not all(isinstance(each, str) and each not in OPERATORS for each in expression):
            raise NotRead("an expression of types")
        for attribute in _named(statement.name, names):
            for rule in self.index.written_for(attribute):
                if not rule.condition:
                    for name in expression:
                        for source in _named(str(name), names):
                            yield Grant("allow", source, rule.target, rule.tclass, rule.permissions)

    def _called(self, call: Statement, names: Names, depth: int) -> Iterator[Grant]:
        """Yield what a call of another macro grants."""
        macro = next((name for each in names.prefixes if (name := f"{each}{call.name}") in self.macros), "")
        words = call.lists[0].words if call.lists else ()
        if not macro or SELF in words or any(each.lists for each in call.lists):
            raise NotRead(f"a call of {call.name}")
        arguments = {f"${number}": _named(word, names) for number, word in enumerate(words, 1)}
        if len(arguments) != len(parameters(self.macros[macro].statement)):
            raise NotRead(f"a call of {call.name}")
        for grant in self.macro(macro, depth + 1):
            for source in arguments.get(grant.source, [grant.source]):
                for target in arguments.get(grant.target, [grant.target]):
                    yield replace(grant, source=source, target=target)

    def spend(self, count: int) -> None:
        """Count what is read. Raises NotRead if it is too much."""
        self._left -= count
        if self._left < 0:
            raise NotRead("too many statements")


def _named(name: str, names: Names) -> Sequence[str]:
    """Return what a name stands for. Raises NotRead if the policy does not have it."""
    meaning = names.of(name)
    if not meaning and name not in names.local:
        raise NotRead(name)
    return meaning


def _expression(attribute_set: Statement) -> list[Node]:
    """Return the members that a statement gives to an attribute."""
    return [*attribute_set.words[2:]] or [part for each in attribute_set.lists for part in _parts(each)]


def _parts(statement: Statement) -> list[Node]:
    """Return a list as an S-expression. Words come before lists, which means the same in an expression."""
    return [*statement.words, *map(_parts, statement.lists)]


def _evaluated(
    expression: list[Node], everything: frozenset[str], named: Callable[[str], frozenset[str]]
) -> frozenset[str]:
    try:
        return members(expression, everything, named)
    except IndexError:  # an operator without its operands, which the compiler reports
        raise NotRead("an incomplete expression") from None
