"""Find what a name in the tree of secil2tree refers to, if secil2tree printed it as its author wrote it.

Older versions of secil2tree, libsepol 3.4 among them, qualify the names in rules and expressions, but not the
name of the attribute that a `typeattributeset` is about, nor those in an alias or a bound
(libsepol/cil/src/cil_write_ast.c). Names are looked up as libsepol/cil/src/cil_resolve_ast.c does: in the
arguments of a call, in the blocks around a statement from the innermost one, and then around the place that
it was copied from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

AS_WRITTEN: Mapping[str, tuple[int, ...]] = {
    "typeattributeset": (1,), "roleattributeset": (1,), "userattributeset": (1,),
    "typealiasactual": (1, 2), "typebounds": (1, 2), "rolebounds": (1, 2), "userbounds": (1, 2),
    "userlevel": (1,), "userrange": (1,), "userprefix": (1,), "classmapping": (1,),
}  # fmt: skip
"""Statements with the places of those of their words that are printed as they were written."""
DECLARING = frozenset(
    {"type", "typealias", "typeattribute", "role", "roleattribute", "user", "userattribute", "classmap"}
)
"""Statements that declare what such a word may name."""
_WORDS = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True)
class Names:
    """What a tree declares, by qualified names.

    declared: types, roles, users, attributes and aliases.
    blocks: the blocks, by their last names.
    parameters: the parameters of each macro in their order.
    macros: the macros, by their last names.
    """

    declared: Collection[str]
    blocks: Mapping[str, Sequence[str]]
    parameters: Mapping[str, Sequence[str]]
    macros: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Scope:
    """The surroundings of a statement.

    names: what the tree declares.
    path: the blocks around it, from the outermost one.
    arguments: what the parameters of the call around it stand for.
    origin: the place that it was copied from by a call or by inheritance.
    """

    names: Names
    path: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    origin: Scope | None = None

    def within(self, block: str) -> Scope:
        """Return the scope of the statements in a block."""
        return Scope(self.names, (*self.path, block), self.arguments, self.origin)

    def inherited(self, block: str) -> Scope:
        """Return the scope of what this block inherits from the one that is printed as `block`."""
        path = _nearest(block, self.path, self.names.blocks)
        return Scope(self.names, self.path, self.arguments, Scope(self.names, tuple(path.split(".")[:-1])))

    def called(self, call: str) -> Scope:
        """Return the scope of what the line `call`, as in `(call reads (web.process)`, stands for."""
        name, *arguments = words_of(call)[1:] or [""]
        path = _nearest(name, self.path, self.names.macros)
        bound = dict(zip(self.names.parameters.get(path, ()), arguments, strict=False))
        return Scope(self.names, self.path, bound, Scope(self.names, tuple(path.split(".")[:-1])))

    def qualified(self, name: str) -> str:
        """Return the qualified name of what `name` refers to here, or `name` if nothing declares it."""
        if name.startswith("."):  # the global name
            return name[1:]
        if name in self.arguments:
            return self.arguments[name]
        for length in range(len(self.path), -1, -1):
            candidate = ".".join((*self.path[:length], name))
            if candidate in self.names.declared:
                return candidate
        return self.origin.qualified(name) if self.origin else name

    def statement(self, text: str) -> str:
        """Return a statement, on one line, with qualified names."""
        keyword, *written = text.lstrip("(").split(" ", 3)
        places = AS_WRITTEN.get(keyword)
        if not places:
            return text
        for place in places:
            if place <= len(written):
                word = written[place - 1]
                name = word.rstrip(")")
                written[place - 1] = self.qualified(name) + word[len(name) :]
        return " ".join((f"({keyword}", *written))


def words_of(text: str) -> list[str]:
    """Return the words of a line at the depth of its first word, and one list of words deeper.

    A list that is deeper still, such as an argument that is an expression, counts as one word.
    """
    words: list[str] = []
    depth = 0
    for token in _WORDS.findall(text):
        if token == ")":
            depth -= 1
        elif token == "(":
            depth += 1
            if depth == 3:
                words.append("()")
        elif depth < 3:
            words.append(token)
    return words


def by_last_name(qualified: Iterable[str]) -> dict[str, list[str]]:
    """Return the qualified names by their last parts."""
    names: dict[str, list[str]] = {}
    for each in qualified:
        names.setdefault(each.rpartition(".")[2], []).append(each)
    return names


def _nearest(name: str, path: Sequence[str], known: Mapping[str, Sequence[str]]) -> str:
    """Return the qualified name of the block or macro `name`: of several, the nearest to `path`."""

    def distance(qualified: str) -> tuple[int, str]:
        shared = 0
        for own, other in zip(path, qualified.split("."), strict=False):
            if own != other:
                break
            shared += 1
        return -shared, qualified

    return min(known.get(name, ()), key=distance, default=name)
