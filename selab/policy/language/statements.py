"""Parse policy statements after m4 has expanded them, and list what each one grants, with its sets expanded.

The language is checkpolicy's (policy_parse.y and policy_scan.l), without what only a base module may contain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from selab.policy.language.words import EVERYTHING, NameSet, NotAStatement, WordReader, split_words

ACCESS_KINDS = ("allow", "dontaudit", "auditallow", "neverallow")
_XPERM_KINDS = tuple(f"{kind}xperm" for kind in ACCESS_KINDS)
_TRANSITION_KINDS = ("type_transition", "type_change", "type_member")

Permissions = Mapping[str, frozenset[str]]
"""The permissions of each class, which `*` and `~` expand to."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule about one source, target and class.

    kind: the statement's own word (`allow`, `type_transition`, `roleattribute` ...), or `role_types` and
        `role_allow`, whose target is a type and a role.
    source, target: a name, `$1` to `$9`, `self`, or `*` for every type.
    tclass: object class.
    permissions: permissions of an access rule.
    condition: boolean expression of the conditional block around the rule.
    result: what a transition produces (a type, a range, a role), followed by the file name that it is limited
        to.
    source_except, target_except: what a set excludes: `{ file_type -shadow_t }` is file_type except shadow_t.
    """

    kind: str
    source: str
    target: str
    tclass: str
    permissions: frozenset[str]
    condition: str = ""
    result: str = ""
    source_except: frozenset[str] = frozenset()
    target_except: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Statements:
    """The content of a policy text.

    grants: what its rules grant.
    attributes: pairs of type and attribute.
    declares: pairs of kind and name, such as `type` and `foo_t`.
    requires: pairs of kind and name, without those in optional blocks, which may be missing.
    """

    grants: tuple[Grant, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    declares: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()


def parse(text: str, permissions: Permissions) -> Statements:
    """Parse the statements in `text`. Raises NotAStatement at the first token that does not fit."""
    reader = _Reader(split_words(text), permissions)
    try:
        reader.block("", end="")
    except RecursionError:
        raise NotAStatement("its blocks or sets are nested too deeply") from None
    return Statements(
        _united(reader.grants),
        *(tuple(dict.fromkeys(names)) for names in (reader.attributes, reader.declares, reader.requires)),
    )


def braced(permissions: Collection[str]) -> str:
    """Format permissions as the policy language writes them: one bare, several sorted in braces."""
    return " ".join(permissions) if len(permissions) == 1 else f"{{ {' '.join(sorted(permissions))} }}"


def _united(grants: list[Grant]) -> tuple[Grant, ...]:
    """Merge grants that differ in their permissions only."""
    permissions_of: dict[tuple[object, ...], set[str]] = {}
    for grant in grants:
        key = (
            grant.kind,
            grant.source,
            grant.target,
            grant.tclass,
            grant.condition,
            grant.result,
            grant.source_except,
            grant.target_except,
        )
        permissions_of.setdefault(key, set()).update(grant.permissions)
    return tuple(
        Grant(kind, source, target, tclass, frozenset(words), *rest)  # type: ignore[arg-type]
        for (kind, source, target, tclass, *rest), words in permissions_of.items()
    )


@dataclass
class _Reader(WordReader):
    """Reads `tokens` in order and collects what they declare and grant."""

    permissions: Permissions
    optionals: int = 0
    grants: list[Grant] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    declares: list[tuple[str, str]] = field(default_factory=list)
    requires: list[tuple[str, str]] = field(default_factory=list)

    def block(self, condition: str, end: str = "}") -> None:
        """Read statements up to `end`, or to the end of the text."""
        while (word := self.peek()) != end:
            self.take()
            # checkmodule accepts an empty statement, but not in a conditional block (policy_parse.y).
            if word != ";" or condition:
                self._statement(word, condition)
        if end:
            self.take()

    def _statement(self, word: str, condition: str) -> None:
        if word in ACCESS_KINDS:
            self._access(word, condition)
        elif word in _XPERM_KINDS:
            self._extended(word, condition)
        elif word in _TRANSITION_KINDS:
            self._transition(word, condition)
        elif word == "if":
            self._conditional(condition)
        elif handler := _STATEMENTS.get(word):
            handler(self)
        else:
            self.at -= 1
            raise self.stop(word)

    def _access(self, kind: str, condition: str) -> None:
        source, target = self.set(), self.set()
        if self.peek() == ";":
            self.take()
            for source_name, target_name in _pairs(source, target):
                self.grants.append(Grant(f"role_{kind}", source_name, target_name, "", frozenset()))
            return
        self.take(":")
        classes, words = self.set(), self.set()
        self.take(";")
        for tclass in classes.names:
            self._grant(kind, source, target, tclass, condition, self._of(tclass, words))

    def _of(self, tclass: str, words: NameSet) -> frozenset[str]:
        """Return the permissions that a set names; `*` if the class is unknown, to understate nothing."""
        if EVERYTHING not in words.names:
            return frozenset(words.names)
        known = self.permissions.get(tclass)
        return frozenset({EVERYTHING}) if known is None else known - words.without

    def _grant(
        self,
        kind: str,
        source: NameSet,
        target: NameSet,
        tclass: str,
        condition: str,
        words: frozenset[str] = frozenset(),
        result: str = "",
    ) -> None:
        for source_name, target_name in _pairs(source, target):
            self.grants.append(
                Grant(
                    kind,
                    source_name,
                    target_name,
                    tclass,
                    words,
                    condition,
                    result,
                    source.without,
                    target.without,
                )
            )

    def _extended(self, kind: str, condition: str) -> None:
        source, target = self.set(), self.set()
        self.take(":")
        classes, operation = self.set(), self.name()
        ranges = " ".join(self.until(";"))
        for tclass in classes.names:
            self._grant(kind, source, target, tclass, condition, frozenset({operation}), ranges)

    def _transition(self, kind: str, condition: str) -> None:
        source, target = self.set(), self.set()
        self.take(":")
        classes, result = self.set(), self.name()
        if self.peek() != ";":
            result += f" {self.name()}"
        self.take(";")
        for tclass in classes.names:
            self._grant(kind, source, target, tclass, condition, result=result)

    def _classes(self) -> NameSet:
        """Read the classes of a transition; a transition that omits them is about processes."""
        if self.peek() != ":":
            return NameSet(("process",))
        self.take()
        return self.set()

    def range_transition(self) -> None:
        source, target = self.set(), self.set()
        classes = self._classes()
        result = "".join(self.until(";"))
        for tclass in classes.names:
            self._grant("range_transition", source, target, tclass, "", result=result)

    def role_transition(self) -> None:
        source, target = self.set(), self.set()
        classes = self._classes()
        result = self.name()
        self.take(";")
        for tclass in classes.names:
            self._grant("role_transition", source, target, tclass, "", result=result)

    def role(self) -> None:
        roles = self.set()
        if self.peek() == "types":
            self.take()
            self._grant("role_types", roles, self.set(), "", "")
        else:
            self.declares += [("role", name) for name in roles.names]
        self.take(";")

    def roleattribute(self) -> None:
        roles, attributes = self.set(), self.names()
        self._grant("roleattribute", roles, NameSet(attributes), "", "")

    def typeattribute(self) -> None:
        types, attributes = self.set(), self.names()
        self.attributes += [(name, attribute) for name in types.names for attribute in attributes]

    def typebounds(self) -> None:
        parent, children = self.set(), self.names()
        self._grant("typebounds", parent, NameSet(children), "", "")

    def permissive(self) -> None:
        self._grant("permissive", NameSet(self.names()), NameSet(("",)), "", "")

    def type(self) -> None:
        name = self.name()
        self.declares.append(("type", name))
        if self.peek() == "alias":
            self.take()
            self.declares += [("type", alias) for alias in self.set().names]
        if self.peek() == ",":
            self.take()
            self.attributes += [(name, attribute) for attribute in self.names()]
        else:
            self.take(";")

    def typealias(self) -> None:
        self.name()
        self.take("alias")
        self.declares += [("type", alias) for alias in self.set().names]
        self.take(";")

    def declared(self, kind: str) -> None:
        self.declares += [(kind, name) for name in self.names()]

    def boolean(self) -> None:
        self.declares.append(("bool", self.name()))
        self.until(";")

    def require(self) -> None:
        self.take("{")
        while self.peek() != "}":
            kind = self.name()
            if kind == "class":
                names: tuple[str, ...] = (self.name(),)
                self.set()
                self.take(";")
            elif kind in ("sensitivity", "category"):
                self.until(";")
                continue
            else:
                names = self.names()
            if not self.optionals:
                self.requires += [("bool" if kind == "tunable" else kind, name) for name in names]
        self.take("}")

    def optional(self) -> None:
        """Count what an optional grants, but not its `else` branch, which applies only instead of it."""
        self.take("{")
        self.optionals += 1
        self.block("")
        if self.peek() == "else":
            self.take()
            self.take("{")
            collected = (self.grants, self.attributes, self.declares)
            lengths = [len(names) for names in collected]
            self.block("")
            for names, length in zip(collected, lengths, strict=True):
                del names[length:]  # type: ignore[attr-defined]
        self.optionals -= 1

    def _conditional(self, outer: str) -> None:
        if outer:
            raise self.stop("if")
        condition = self._expression()
        self.take("{")
        self.block(condition)
        if self.peek() == "else":
            self.take()
            self.take("{")
            self.block(f"!({condition})")

    def _expression(self) -> str:
        depth, words = 1, []
        self.take("(")
        while depth:
            word = self.take()
            depth += {"(": 1, ")": -1}.get(word, 0)
            words.append(word)
        return " ".join(words[:-1]).replace("! ", "!").replace("( ", "(").replace(" )", ")")


def _pairs(source: NameSet, target: NameSet) -> Iterator[tuple[str, str]]:
    return ((source_name, target_name) for source_name in source.names for target_name in target.names)


_STATEMENTS: dict[str, Callable[[_Reader], None]] = {
    "range_transition": _Reader.range_transition,
    "role_transition": _Reader.role_transition,
    "role": _Reader.role,
    "roleattribute": _Reader.roleattribute,
    "typeattribute": _Reader.typeattribute,
    "typebounds": _Reader.typebounds,
    "permissive": _Reader.permissive,
    "type": _Reader.type,
    "typealias": _Reader.typealias,
    "attribute": lambda reader: reader.declared("attribute"),
    "attribute_role": lambda reader: reader.declared("attribute_role"),
    "bool": _Reader.boolean,
    "tunable": _Reader.boolean,
    "require": _Reader.require,
    "optional": _Reader.optional,
}
