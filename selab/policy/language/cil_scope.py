"""Find what a name in the tree of secil2tree refers to, if secil2tree printed it as its author wrote it.

Older versions of secil2tree, libsepol 3.4 among them, qualify the names in rules and expressions, but not the
name of the attribute that a `typeattributeset` is about, nor those in an alias or a bound
(libsepol/cil/src/cil_write_ast.c). Names are looked up as libsepol/cil/src/cil_resolve_ast.c does: in the
blocks around a statement from the innermost one, and then around the place that it was inherited from; in a
macro, among its parameters, in its blocks, and then around the call.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from selab.policy.language.cil_names import outwards

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
class Macro:
    """A macro.

    blocks: the blocks that it is in, from the outermost one.
    parameters: the names of its parameters in their order.
    """

    blocks: tuple[str, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """What a tree declares. Blocks and macros are by their last names, because the tree prints no others.

    declared: qualified names of types, roles, users, attributes and aliases outside of abstract blocks.
    blocks: the blocks around each block of a name, from the outermost one.
    macros: the macros of each name.
    """

    declared: Collection[str]
    blocks: Mapping[str, Collection[tuple[str, ...]]]
    macros: Mapping[str, Collection[Macro]]

    def outwards(self, name: str, path: tuple[str, ...], *, with_global: bool = True) -> str:
        """Return `name` with the innermost of the blocks of `path` that declares it, or an empty string."""
        prefixes = outwards(path)
        candidates = (f"{prefix}{name}" for prefix in (prefixes if with_global else prefixes[:-1]))
        return next((each for each in candidates if each in self.declared), "")


@dataclass(frozen=True)
class Scope:
    """The surroundings of a statement.

    names: what the tree declares.
    path: the blocks around it, from the outermost one.
    origins: the blocks around the places that it may have been inherited from.
    call: the line of the call that it stands for, as in `(call reads (web.process)`, or empty.
    around: the surroundings of that call.
    """

    names: Names
    path: tuple[str, ...] = ()
    origins: tuple[tuple[str, ...], ...] = ()
    call: str = ""
    around: Scope | None = None

    def within(self, block: str) -> Scope:
        """Return the scope of the statements in a block."""
        return Scope(self.names, (*self.path, block), tuple((*path, block) for path in self.origins))

    def inherited(self, block: str) -> Scope:
        """Return the scope of what this block inherits from the one that is printed as `block`."""
        return Scope(self.names, self.path, tuple(self.names.blocks.get(block, ())))

    def called(self, call: str) -> Scope:
        """Return the scope of what the line `call` stands for."""
        return Scope(self.names, self.path, call=call, around=self)

    def qualified(self, name: str) -> str:
        """Return the qualified name of what `name` refers to here.

        It is `name` itself if nothing declares it, or if the tree does not show which of several is meant.
        """
        if name.startswith("."):  # the global name
            return name[1:]
        if self.around:
            resolved = self.around.qualified(name)
            macro, *arguments = words_of(self.call)[1:] or [""]
            results = {
                self._in_macro(name, arguments, each) or resolved for each in self.names.macros.get(macro, ())
            }
            return _only(results, name) if results else resolved
        if resolved := self.names.outwards(name, self.path):
            return resolved
        return _only({self.names.outwards(name, path) or name for path in self.origins}, name)

    def _in_macro(self, name: str, arguments: Sequence[str], macro: Macro) -> str:
        """Return what a name in the macro stands for in a call; empty if it is not the macro's."""
        if name not in macro.parameters:
            return self.names.outwards(name, macro.blocks, with_global=False)
        index = macro.parameters.index(name)
        return arguments[index] if index < len(arguments) else ""

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


def _only(names: Collection[str], otherwise: str) -> str:
    return next(iter(names)) if len(names) == 1 else otherwise
