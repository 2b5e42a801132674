"""Read what CIL declares and grants: quickly from a flat base, or with optional blocks from a candidate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from selab.policy.language.cil import Node, Rule, members, names_in, statements, summary, text_of
from selab.policy.language.commands import LIMITING

RULES = frozenset({"allow", "dontaudit", "auditallow", "neverallow", "deny"})
EXTENDED = frozenset({"allowx", "dontauditx", "auditallowx", "neverallowx"})
"""Rules about single ioctl commands only restrict what the plain rule's `ioctl` permits."""
NLMSG = "nlmsg"
"""The permission of netlink messages, which extended rules limit to single messages since Linux 6.13. selab
does not evaluate these rules: it refuses them in a candidate, and gives no answer if the base has them."""
REQUIREMENT = "cil_gen_require"
"""An optional block lists its requirements as members of this attribute (libsepol, module_to_cil.c)."""

_RULE = re.compile(r"\((allow|dontaudit|auditallow|neverallow) (\S+) (\S+) \((\S+) \(([^()]+)\)\)\)")
_WORDS = re.compile(r"\([^()\";]+\)")


@dataclass
class Declarations:
    """The declarations and rules of CIL text.

    types, attributes, roles: their names.
    aliases: the type that each alias stands for.
    booleans: booleans with their default values.
    classes: permissions of each class.
    memberships: expressions of each attribute; its members are their union.
    rules: access rules, extended ones included.
    permissive: types whose domains are permissive.
    ports: ranges of each port type.
    by_message: classes with extended rules about NLMSG, which selab does not evaluate.
    """

    types: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    booleans: dict[str, bool] = field(default_factory=dict)
    classes: dict[str, frozenset[str]] = field(default_factory=dict)
    memberships: dict[str, list[Node]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    permissive: set[str] = field(default_factory=set)
    ports: dict[str, list[str]] = field(default_factory=dict)
    by_message: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """Return every name that a module may require of another."""
        return self.types | self.attributes | set(self.aliases) | self.roles | set(self.booleans)


def read_flat(text: str) -> Declarations:
    """Read a flat base. One pattern reads plain rules, which most lines are."""
    into = Declarations()
    rest: list[str] = []
    nodes: list[Node] = []
    seen: dict[str, frozenset[str]] = {}
    for line in text.splitlines():
        if (match := _RULE.fullmatch(line)) and (permissions := _plain(match[5], seen)):
            into.rules.append(Rule(match[1], match[2], match[3], match[4], permissions))
        elif _WORDS.fullmatch(line):
            nodes.append(list(line[1:-1].split()))
        else:
            rest.append(line)
    nodes += statements("\n".join(rest))
    into.classes = class_permissions(nodes)
    _Reader(into, into.classes, None).read(nodes)
    return into


def _plain(words: str, seen: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return the permissions, as one shared object per text; empty if they are an expression."""
    if words not in seen:
        permissions = frozenset(words.split())
        seen[words] = frozenset() if permissions & {"and", "or", "xor", "not", "all"} else permissions
    return seen[words]


def class_permissions(nodes: Iterable[Node]) -> dict[str, frozenset[str]]:
    """Return all permissions of each class, including those of its common."""
    own: dict[str, frozenset[str]] = {}
    commons: dict[str, frozenset[str]] = {}
    common_of: dict[str, str] = {}
    for node in nodes:
        match node:
            case ["class", str(name), list(words)]:
                own[name] = frozenset(map(str, words))
            case ["common", str(name), list(words)]:
                commons[name] = frozenset(map(str, words))
            case ["classcommon", str(name), str(common)]:
                common_of[name] = common
    return {name: words | commons.get(common_of.get(name, ""), frozenset()) for name, words in own.items()}


def read_candidates(texts: Sequence[str], base: Declarations) -> list[Declarations]:
    """Read each module, linked with `base` and the others.

    An optional block counts if everything that it requires is declared.
    """
    parsed = [statements(text) for text in texts]
    known = base.names
    for nodes in parsed:
        known |= _declared(nodes)
    result = []
    for nodes in parsed:
        result.append(Declarations())
        _Reader(result[-1], base.classes, known).read(nodes)
    return result


def _declared(nodes: Iterable[Node]) -> set[str]:
    alone = Declarations()
    _Reader(alone, {}, set()).read(node for node in nodes if node[:1] != ["optional"])
    return alone.names


def _span(number: Node) -> str:
    """Format a port or a range of ports: `80`, `1024-32767`."""
    return number if isinstance(number, str) else "-".join(map(str, number))


class _Reader:
    """Reads statements into Declarations.

    `known` holds the names that optional blocks may require; None accepts every name.
    """

    def __init__(
        self, into: Declarations, classes: dict[str, frozenset[str]], known: set[str] | None
    ) -> None:
        self._into = into
        self._classes = classes
        self._known = None if known is None else set(known)
        self._named: dict[str, Node] = {}

    def read(self, nodes: Iterable[Node], condition: str = "") -> None:
        nodes = list(nodes)
        self._named |= {
            str(node[1]): node[2] for node in nodes if node[:1] == ["permissionx"] and len(node) == 3
        }
        for node in nodes:
            self._statement(node, condition)

    def _statement(self, node: Node, condition: str) -> None:
        match node:
            case [str(kind), str(source), str(target), [str(tclass), *permissions]] if kind in RULES:
                self._into.rules.append(
                    Rule(kind, source, target, tclass, self._permissions(tclass, permissions), condition)
                )
            case [str(kind), str(source), str(target), what] if kind in EXTENDED:
                self._extended(kind, source, target, what, condition)
            case ["booleanif", expression, *branches]:
                for branch in branches:
                    branch_condition = summary(expression if branch[0] == "true" else ["not", expression])
                    self.read(branch[1:], branch_condition)
            case ["optional", str(), *inside]:
                if self._in_force(inside):
                    if self._known is not None:
                        self._known |= _declared(inside)
                    self.read(inside)
            case ["typeattributeset", str(attribute), expression]:
                if attribute != REQUIREMENT:
                    self._into.memberships.setdefault(attribute, []).append(expression)
            case _:
                self._declaration(node)

    def _extended(self, kind: str, source: str, target: str, what: Node, condition: str) -> None:
        match self._named.get(what, what) if isinstance(what, str) else what:
            case ["ioctl", str(tclass), commands]:
                text = frozenset({text_of(commands)})
                self._into.rules.append(Rule(kind, source, target, tclass, text, condition))
            case [str(), str(tclass), _] if kind in LIMITING:
                self._into.by_message.add(tclass)

    def _declaration(self, node: Node) -> None:
        into = self._into
        match node:
            case ["type", str(name)]:
                into.types.add(name)
            case ["typeattribute", str(name)]:
                if name != REQUIREMENT:
                    into.attributes.add(name)
            case ["typealias", str(name)]:
                into.aliases.setdefault(name, name)
            case ["typealiasactual", str(name), str(actual)]:
                into.aliases[name] = actual
            case ["role" | "roleattribute", str(name)]:
                into.roles.add(name)
            case ["boolean", str(name), str(value)]:
                into.booleans[name] = value == "true"
            case ["typepermissive", str(name)]:
                into.permissive.add(name)
            case ["portcon", str(protocol), number, [_, _, str(name), *_]]:
                into.ports.setdefault(name, []).append(f"{protocol} {_span(number)}")

    def _permissions(self, tclass: str, written: list[Node]) -> frozenset[str]:
        words = written[0] if len(written) == 1 else written
        if isinstance(words, list) and words[:1] and words[0] in ("and", "or", "xor", "not", "all"):
            known = frozenset(self._classes.get(tclass, ()))
            return members(words, known, lambda name: frozenset({name}) & known)
        return names_in(words)

    def _in_force(self, inside: Sequence[Node]) -> bool:
        """Return whether everything that the block requires is known; a nested block is judged by itself."""
        return self._known is None or all(self._is_there(node, self._known) for node in inside)

    def _is_there(self, node: Node, known: set[str]) -> bool:
        match node:
            case ["typeattributeset" | "roleattributeset", "cil_gen_require", needed]:
                return names_in(needed) <= known
            case [str(kind), str(), str(), [str(tclass), *permissions]] if kind in RULES:
                return self._permissions(tclass, permissions) <= self._classes.get(tclass, frozenset())
            case _:
                return True
