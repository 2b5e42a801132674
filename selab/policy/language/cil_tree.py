"""Turn the tree that secil2tree prints into plain CIL: one statement per line, without blocks and macros.

`secil2tree --ast-phase=resolve` has copied what a block inherits and what a macro call stands for to its
place, and has qualified most names with their blocks (libsepol/cil/src/cil_write_ast.c). A statement that
contains others stands on a line of its own, and what it contains is indented below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from selab.policy.language.cil_scope import DECLARING, Macro, Names, Scope, words_of

_MARK = re.compile(r";;\* lm([sxe])(?: \d+ (.*))?$")
_OPENED = frozenset({"block", "blockinherit", "call", "in", "optional"})
"""Statements of which only the content counts after everything is resolved."""
_DROPPED = frozenset({"blockabstract", "macro", "tunableif"})
_CONDITIONAL = frozenset({"booleanif", "true", "false"})
_PARAMETER = re.compile(r"\(\w+ ([^\s()]+)\)")
_KEYWORD = re.compile(r"\((\w+)")


@dataclass
class Branch:
    """A line of the tree.

    text: the line without indentation.
    content: what is indented below it.
    """

    text: str
    content: list[Branch] = field(default_factory=list)

    @property
    def keyword(self) -> str:
        match = _KEYWORD.match(self.text)
        return match[1] if match else ""

    @property
    def name(self) -> str:
        """Return the second word, or an empty string."""
        return "".join(words_of(self.text)[1:2])


def section(tree: Iterable[str], file: str) -> list[str]:
    """Return those of the tree's lines that come from `file`, a path as secil2tree was given it."""
    lines: list[str] = []
    open_files: list[str] = []
    for line in tree:
        if mark := _MARK.match(line.strip()):
            if mark[1] == "e":
                del open_files[-1:]
            else:
                open_files.append((mark[2] or "").strip('"'))
        elif file in open_files:
            lines.append(line)
    return lines


def plain_statements(lines: Sequence[str], names: Names | None = None) -> Iterator[str]:
    """Yield the statements of the tree's `lines` without blocks, macros and optionals.

    The content of an abstract block is left out: only what inherits it is part of a policy. `names` are those
    of the whole tree, if `lines` are a section of it and refer to the rest.
    """
    scope = Scope(names or names_in(lines))
    for branch in _branches(lines):
        yield from _plain(branch, scope)


def _branches(lines: Iterable[str]) -> list[Branch]:
    root = Branch("")
    open_branches = [(-1, root)]
    for line in lines:
        text = line.strip()
        if not text or text == ")" or text.startswith(";"):
            continue
        indentation = len(line) - len(line.lstrip())
        while open_branches[-1][0] >= indentation:
            open_branches.pop()
        branch = Branch(text)
        open_branches[-1][1].content.append(branch)
        open_branches.append((indentation, branch))
    return root.content


def names_in(lines: Iterable[str]) -> Names:
    """Return what a tree declares."""
    declared: set[str] = set()
    blocks: dict[str, set[tuple[str, ...]]] = {}
    macros: dict[str, set[Macro]] = {}
    waiting: list[tuple[Branch, tuple[str, ...], bool]] = [(branch, (), False) for branch in _branches(lines)]
    while waiting:
        branch, path, is_abstract = waiting.pop()
        keyword, name = branch.keyword, branch.name
        if keyword in DECLARING and not is_abstract:
            declared.add(name)
        elif keyword == "macro":
            macros.setdefault(name, set()).add(Macro(path, tuple(_PARAMETER.findall(branch.text))))
        elif keyword == "block":
            blocks.setdefault(name, set()).add(path)
            path = (*path, name)
        is_abstract = is_abstract or _is_abstract(branch)
        waiting += [(inner, path, is_abstract) for inner in branch.content]
    return Names(declared, blocks, macros)


def _plain(branch: Branch, scope: Scope) -> Iterator[str]:
    keyword = branch.keyword
    if keyword in _DROPPED or _is_abstract(branch):
        return
    if keyword in _OPENED:
        inside = _opened(branch, scope)
        for inner in branch.content:
            yield from _plain(inner, inside)
    elif keyword in _CONDITIONAL and branch.content:
        parts = (statement for inner in branch.content for statement in _plain(inner, scope))
        yield f"{branch.text} {' '.join(parts)})"
    else:
        yield scope.statement(branch.text)


def _is_abstract(branch: Branch) -> bool:
    return any(inner.keyword == "blockabstract" for inner in branch.content)


def _opened(branch: Branch, scope: Scope) -> Scope:
    """Return the scope of a branch's content."""
    if branch.keyword == "call":
        return scope.called(branch.text)
    if branch.keyword == "optional":
        return scope
    return scope.inherited(branch.name) if branch.keyword == "blockinherit" else scope.within(branch.name)
