"""Write access rules of CIL with the names of permissions, in place of named sets, maps and expressions.

A rule may name a class permission, a permission of a class map, or an expression such as `(not (write))`
(secilc's CIL reference, "Class and Permission Statements"). What reads plain CIL knows none of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from selab.policy.language.cil import OPERATORS, Node, members, statements, text_of
from selab.policy.language.declarations import RULES, class_permissions

_CLASSES = re.compile(
    r"^\((?:class|common|classcommon|classmap|classmapping|classpermission|classpermissionset) [^\n]*$",
    re.MULTILINE,
)
_RULE = re.compile(rf"\((?:{'|'.join(sorted(RULES))})\s")
_PLAIN = re.compile(rf"\((?:{'|'.join(sorted(RULES))}) [^\s()]+ [^\s()]+ \([^\s()]+ \(([^()]+)\)\)\)")
Accesses = dict[str, frozenset[str]]
"""Permissions by their class."""


class Permissions:
    """The permissions that names and expressions stand for, in the statements of plain CIL."""

    def __init__(self, texts: Iterable[str]) -> None:
        nodes = statements("\n".join(line for text in texts for line in _CLASSES.findall(text)))
        self._classes: Mapping[str, frozenset[str]] = class_permissions(nodes)
        self._named: dict[str, list[Node]] = {}
        self._mapped: dict[str, dict[str, list[Node]]] = {}
        self._known: dict[tuple[str, str], Accesses | None] = {}
        declared: Counter[str] = Counter()
        for node in nodes:
            match node:
                case ["classpermission", str(name)]:
                    declared[name] += 1
                case ["classpermissionset", str(name), access]:
                    self._named.setdefault(name, []).append(access)
                case ["classmap", str(name), list(words)]:
                    declared[name] += 1
                    self._mapped.setdefault(name, {}).update({str(word): [] for word in words})
                case ["classmapping", str(name), str(permission), access]:
                    self._mapped.setdefault(name, {}).setdefault(permission, []).append(access)
        # secil2tree prints these names without their blocks, so two of one name are unclear.
        self._unclear = {name for name, count in declared.items() if count > 1}

    def explicit(self, statement: str) -> str:
        """Return a statement with a rule for each class and the names of its permissions.

        What is unclear or unknown stays as it is.
        """
        rules = _RULE.findall(statement)
        plain = [words for words in _PLAIN.findall(statement) if OPERATORS.isdisjoint(words.split())]
        if len(plain) == len(rules) and not self._mapped:
            return statement
        return " ".join(text_of(part) for node in statements(statement) for part in self._parts(node))

    def _parts(self, node: Node) -> Iterator[Node]:
        match node:
            case [str(kind), str(), str(), access] if kind in RULES:
                accesses = self._accesses(access)
                if accesses is None:
                    yield node
                    return
                for tclass, permissions in accesses.items():
                    if permissions:
                        yield [*node[:3], [tclass, [*sorted(permissions)]]]
            case list():
                yield [part for inner in node for part in self._parts(inner)]
            case _:
                yield node

    def _accesses(self, written: Node) -> Accesses | None:
        """Return what a rule's permissions stand for; None if they are unclear."""
        if isinstance(written, str):
            return self._of_name(written, "", self._named.get(written))
        if not written or not isinstance(written[0], str) or written[0] in self._unclear:
            return None
        if written[0] not in self._mapped and written[0] not in self._classes:
            return None
        tclass, words = written[0], list(written[1] if len(written) == 2 else written[1:])
        mapped = self._mapped.get(tclass)
        every = frozenset(self._classes.get(tclass, ()) if mapped is None else mapped)
        chosen = members(words, every, lambda name: frozenset({name}))
        if not chosen <= every:
            return None
        if mapped is None:
            return {tclass: chosen}
        return _union(self._of_name(tclass, permission, mapped[permission]) for permission in sorted(chosen))

    def _of_name(self, name: str, permission: str, meanings: Sequence[Node] | None) -> Accesses | None:
        """Return what a class permission, or a `permission` of a class map, stands for.

        A name that stands for itself is unclear.
        """
        key = (name, permission)
        if key not in self._known:
            self._known[key] = None
            if meanings is not None and name not in self._unclear:
                self._known[key] = _union(map(self._accesses, meanings))
        return self._known[key]


def _union(parts: Iterable[Accesses | None]) -> Accesses | None:
    union: Accesses = {}
    for part in parts:
        if part is None:
            return None
        for tclass, permissions in part.items():
            union[tclass] = union.get(tclass, frozenset()) | permissions
    return union
