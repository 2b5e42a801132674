"""Let a block inherit another block in two ways, as semodule does.

udica's policies inherit `container` and, say, `log_container`, which inherits `container` too, so the type
`process` is declared twice. libsemanage accepts a second declaration of a type or an attribute
(`multiple-decls` in semanage.conf, on by default), but secil2tree has no option for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from selab.policy.language.cil_names import outwards
from selab.policy.language.cil_source import Statement

MAX_ADDED = 10_000
"""Statements to add at most. udica's templates need about twenty."""
_DECLARED_AGAIN = ("type", "typeattribute")
_INHERIT, _BLOCK = "blockinherit", "block"


def with_single_declarations(
    texts: Mapping[str, str], trees: Mapping[str, Sequence[Statement]]
) -> dict[str, str]:
    """Return CIL texts in which no block declares a type or an attribute twice by inheritance.

    What a block that is reached in two ways declares moves out of it, into each block that inherits it
    (`in after`, which libsepol resolves when blocks have been copied). All lines keep their numbers.
    `trees` are the statements of `texts`, by the same names.
    """
    blocks = {path: (name, block) for name, tree in trees.items() for path, block in _blocks(tree)}
    heirs = _heirs_of_shared({path: _inherited(block, path, blocks) for path, (_, block) in blocks.items()})
    if sum(map(len, heirs.values())) > MAX_ADDED:
        return dict(texts)
    moved: dict[str, list[Statement]] = {}
    added: dict[str, list[str]] = {}
    for path, inheriting in heirs.items():
        name, block = blocks[path]
        if declared := [each for each in block.lists if each.keyword in _DECLARED_AGAIN]:
            words = " ".join(f"({' '.join(each.words)})" for each in declared)
            moved.setdefault(name, []).extend(declared)
            added.setdefault(name, []).extend(f"(in after {heir} {words})" for heir in inheriting)
    return {
        name: _changed(text, trees[name], moved[name], added[name]) if name in moved else text
        for name, text in texts.items()
    }


def _heirs_of_shared(inherited: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the blocks that another one inherits in two ways, each with itself and all that inherit it."""
    try:
        order = [*TopologicalSorter(inherited).static_order()]
    except CycleError:  # which libsepol reports
        return {}
    # Sets of blocks are the bits of a number, so that thousands of blocks take little memory.
    bits = {path: 1 << number for number, path in enumerate(order)}
    reached: dict[str, int] = {}
    shared = 0
    for path in order:
        once = 0
        for name in inherited[path]:
            reaching = bits[name] | reached[name]
            shared |= once & reaching
            once |= reaching
        reached[path] = once
    return {
        path: [path, *(each for each in order if reached[each] & bits[path])]
        for path in order
        if bits[path] & shared
    }


def _blocks(tree: Sequence[Statement], prefix: str = "") -> Iterator[tuple[str, Statement]]:
    """Yield the blocks with their qualified names."""
    for each in tree:
        if each.keyword == _BLOCK and each.name:
            path = f"{prefix}{each.name}"
            yield path, each
            yield from _blocks(each.lists, f"{path}.")


def _inherited(block: Statement, path: str, blocks: Collection[str]) -> list[str]:
    """Return the blocks that one inherits directly, by their qualified names."""
    names = [each.name for each in block.lists if each.keyword == _INHERIT]
    return [resolved for name in names if (resolved := _resolved(name, path, blocks))]


def _resolved(name: str, path: str, blocks: Collection[str]) -> str:
    """Return the qualified name of the block `name` that is nearest to `path`, or an empty string."""
    candidates = (f"{prefix}{name}" for prefix in outwards(path.split(".")[:-1]))
    return next((each for each in candidates if each in blocks), "")


def _changed(text: str, tree: Sequence[Statement], moved: Sequence[Statement], added: Sequence[str]) -> str:
    """Return the text with spaces in place of `moved`, and with `added` on the line of its last statement."""
    pieces, end = [], 0
    for each in sorted(moved, key=lambda statement: statement.begin):
        pieces += [text[end : each.begin], re.sub(r"[^\n]", " ", text[each.begin : each.end])]
        end = each.end
    return f"{''.join(pieces)}{text[end : tree[-1].end]} {' '.join(added)}\n"
