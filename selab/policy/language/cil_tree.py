"""Turn the tree that secil2tree prints into plain CIL: one statement per line, without blocks and macros.

`secil2tree --ast-phase=resolve` has copied what a block inherits and what a macro call stands for to its
place, and has qualified each name with its blocks (libsepol/cil/src/cil_write_ast.c). A statement that
contains others stands on a line of its own, and what it contains is indented below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MARK = re.compile(r";;\* lm([sxe])(?: \d+ (.*))?$")
_OPENED = frozenset({"block", "blockinherit", "call", "in", "optional"})
"""Statements of which only the content counts after everything is resolved."""
_DROPPED = frozenset({"blockabstract", "macro"})
_CONDITIONAL = frozenset({"booleanif", "true", "false"})
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


def section(output: str, file: str) -> list[str]:
    """Return the lines of the tree that come from `file`, a path as secil2tree was given it."""
    lines: list[str] = []
    open_files: list[str] = []
    for line in output.splitlines():
        if mark := _MARK.match(line.strip()):
            if mark[1] == "e":
                del open_files[-1:]
            else:
                open_files.append((mark[2] or "").strip('"'))
        elif file in open_files:
            lines.append(line)
    return lines


def plain_statements(lines: Iterable[str]) -> Iterator[str]:
    """Yield the statements of the tree's `lines` without blocks, macros and optionals.

    The content of an abstract block is left out: only what inherits it is part of a policy.
    """
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
    for branch in root.content:
        yield from _plain(branch)


def _plain(branch: Branch) -> Iterator[str]:
    if branch.keyword in _DROPPED or any(inner.keyword == "blockabstract" for inner in branch.content):
        return
    parts = (statement for inner in branch.content for statement in _plain(inner))
    if branch.keyword in _OPENED:
        yield from parts
    elif branch.keyword in _CONDITIONAL and branch.content:
        yield f"{branch.text} {' '.join(parts)})"
    else:
        yield branch.text
