"""Policy statements as m4 leaves them: what each one grants, its sets multiplied out.

The language is checkpolicy's (policy_parse.y and policy_scan.l), without what only a base module may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|[\w$./][\w$./-]*|&&|\|\||[!=]=|\S')
_NAME = re.compile(r'"[^"]*"|[\w$./][\w$./-]*')
ACCESS_KINDS = ("allow", "dontaudit", "auditallow", "neverallow")
_XPERM_KINDS = tuple(f"{kind}xperm" for kind in ACCESS_KINDS)
_TRANSITION_KINDS = ("type_transition", "type_change", "type_member")
EVERYTHING = "*"

Permissions = Mapping[str, frozenset[str]]
"""Each class's permissions, for `*` and `~`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule about one source, target and class: names, `$1` to `$9`, `self`, or `*` for every type.

    `kind` is the statement's own word (`allow`, `type_transition`, `role_transition`, `roleattribute` ...), or `role_types` and
    `role_allow`, whose target is a type and a role. `permissions` are those of an access rule. `condition` is the boolean expression that
    it hangs on. `result` is what a transition makes (a type, a range, a role), and after a space the name that it is limited to.
    `source_except` and `target_except` are what a set takes away again: `{ file_type -shadow_t }` is file_type except shadow_t.
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
    """What a text says. `attributes` are (type, attribute), `declares` and `requires` (kind, name), as in `type` and `foo_t`.

    `requires` leaves out what stands in an optional block, which may be missing.
    """

    grants: tuple[Grant, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    declares: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()


class NotAStatement(ValueError):
    """The text holds what is no statement of the policy language, such as a macro that m4 did not know."""


def parse(text: str, permissions: Permissions) -> Statements:
    """The statements in `text`. Raises NotAStatement at the first thing that is none."""
    reader = _Reader([token for token in _TOKEN.findall(text) if token[0] != "#"], permissions)
    try:
        reader.block("", end="")
    except RecursionError:
        raise NotAStatement("its blocks or sets are nested without end") from None
    return Statements(
        _united(reader.grants),
        *(tuple(dict.fromkeys(names)) for names in (reader.attributes, reader.declares, reader.requires)),
    )


def braced(permissions: Collection[str]) -> str:
    """Permissions as the policy language writes them: one bare, several in braces, sorted."""
    return " ".join(permissions) if len(permissions) == 1 else f"{{ {' '.join(sorted(permissions))} }}"


def _united(grants: list[Grant]) -> tuple[Grant, ...]:
    """Grants that differ in their permissions only, as one."""
    found: dict[tuple[object, ...], set[str]] = {}
    for one in grants:
        key = (
            one.kind,
            one.source,
            one.target,
            one.tclass,
            one.condition,
            one.result,
            one.source_except,
            one.target_except,
        )
        found.setdefault(key, set()).update(one.permissions)
    return tuple(
        Grant(kind, source, target, tclass, frozenset(words), *rest)  # type: ignore[arg-type]
        for (kind, source, target, tclass, *rest), words in found.items()
    )


@dataclass(frozen=True)
class _Set:
    """A set: its names in their order, and what it takes away."""

    names: tuple[str, ...]
    without: frozenset[str] = frozenset()


@dataclass
class _Reader:
    """Reads `tokens` one after the other, and gathers what they say."""

    tokens: list[str]
    permissions: Permissions
    at: int = 0
    optionals: int = 0
    grants: list[Grant] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    declares: list[tuple[str, str]] = field(default_factory=list)
    requires: list[tuple[str, str]] = field(default_factory=list)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise self.stop(token)
        self.at += 1
        return token

    def stop(self, token: str) -> NotAStatement:
        around = " ".join(self.tokens[max(0, self.at - 3) : self.at + 3])
        return NotAStatement(f"'{token}' in: {around}" if token else f"it ends after: {around}")

    def name(self) -> str:
        if not _NAME.fullmatch(self.peek()):
            raise self.stop(self.peek())
        return self.take()

    def block(self, condition: str, end: str = "}") -> None:
        """Statements up to `end`, or to the end of the text."""
        while (word := self.peek()) != end:
            self.take()
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
            for one, other in _pairs(source, target):
                self.grants.append(Grant(f"role_{kind}", one, other, "", frozenset()))
            return
        self.take(":")
        classes, words = self.set(), self.set()
        self.take(";")
        for tclass in classes.names:
            self._grant(kind, source, target, tclass, condition, self._of(tclass, words))

    def _of(self, tclass: str, words: _Set) -> frozenset[str]:
        """The permissions that a set names; `*` where the class is not known, so that nobody reads too little into it."""
        if EVERYTHING not in words.names:
            return frozenset(words.names)
        known = self.permissions.get(tclass)
        return frozenset({EVERYTHING}) if known is None else known - words.without

    def _grant(
        self,
        kind: str,
        source: _Set,
        target: _Set,
        tclass: str,
        condition: str,
        words: frozenset[str] = frozenset(),
        result: str = "",
    ) -> None:
        for one, other in _pairs(source, target):
            self.grants.append(
                Grant(kind, one, other, tclass, words, condition, result, source.without, target.without)
            )

    def _extended(self, kind: str, condition: str) -> None:
        source, target = self.set(), self.set()
        self.take(":")
        classes, operation = self.set(), self.name()
        ranges = " ".join(self._until(";"))
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

    def _classes(self) -> _Set:
        """The classes of a transition that may leave them out, and is about processes then."""
        if self.peek() != ":":
            return _Set(("process",))
        self.take()
        return self.set()

    def range_transition(self) -> None:
        source, target = self.set(), self.set()
        classes = self._classes()
        result = "".join(self._until(";"))
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
        roles, attributes = self.set(), self._names()
        self._grant("roleattribute", roles, _Set(attributes), "", "")

    def typeattribute(self) -> None:
        types, attributes = self.set(), self._names()
        self.attributes += [(name, attribute) for name in types.names for attribute in attributes]

    def typebounds(self) -> None:
        parent, children = self.set(), self._names()
        self._grant("typebounds", parent, _Set(children), "", "")

    def permissive(self) -> None:
        self._grant("permissive", _Set(self._names()), _Set(("",)), "", "")

    def type(self) -> None:
        name = self.name()
        self.declares.append(("type", name))
        if self.peek() == "alias":
            self.take()
            self.declares += [("type", alias) for alias in self.set().names]
        if self.peek() == ",":
            self.take()
            self.attributes += [(name, attribute) for attribute in self._names()]
        else:
            self.take(";")

    def typealias(self) -> None:
        self.name()
        self.take("alias")
        self.declares += [("type", alias) for alias in self.set().names]
        self.take(";")

    def declared(self, kind: str) -> None:
        self.declares += [(kind, name) for name in self._names()]

    def boolean(self) -> None:
        self.declares.append(("bool", self.name()))
        self._until(";")

    def require(self) -> None:
        self.take("{")
        while self.peek() != "}":
            kind = self.name()
            if kind == "class":
                names: tuple[str, ...] = (self.name(),)
                self.set()
                self.take(";")
            elif kind in ("sensitivity", "category"):
                self._until(";")
                continue
            else:
                names = self._names()
            if not self.optionals:
                self.requires += [("bool" if kind == "tunable" else kind, name) for name in names]
        self.take("}")

    def optional(self) -> None:
        """What an optional grants counts; its `else`, which holds only in its stead, does not."""
        self.take("{")
        self.optionals += 1
        self.block("")
        if self.peek() == "else":
            self.take()
            self.take("{")
            kept = list(self.grants), list(self.attributes), list(self.declares)
            self.block("")
            self.grants, self.attributes, self.declares = kept
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

    def _until(self, end: str) -> list[str]:
        """The words up to `end`, at least one."""
        words = [self.take()]
        while self.peek() != end:
            words.append(self.take())
        self.take(end)
        return words

    def _names(self) -> tuple[str, ...]:
        """Names with commas between, up to the semicolon."""
        names = list(self.set().names)
        while self.peek() == ",":
            self.take()
            names += self.set().names
        self.take(";")
        return tuple(names)

    def set(self) -> _Set:
        """A name, `*`, `~` of a set, or braces around such; braces may nest, since macros expand to sets in sets."""
        word = self.peek()
        if word == "~":
            self.take()
            inside = self.set()
            return _Set((EVERYTHING,), frozenset(inside.names))
        if word == EVERYTHING:
            return _Set((self.take(),))
        if word != "{":
            return _Set((self.name(),))
        self.take()
        names: list[str] = []
        without: set[str] = set()
        while self.peek() != "}":
            if self.peek() == "-":
                self.take()
                without.update(self.set().names)
            else:
                inside = self.set()
                names += inside.names
                without |= inside.without
        self.take("}")
        if not names:
            raise self.stop("}")
        return _Set(tuple(dict.fromkeys(names)), frozenset(without))


def _pairs(source: _Set, target: _Set) -> Iterator[tuple[str, str]]:
    return ((one, other) for one in source.names for other in target.names)


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
