"""Count the steps that a reader takes, and find the regular expressions that may be slower than linear."""

from __future__ import annotations

import ast
import functools
import operator
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

import selab

PACKAGE = Path(selab.__file__).parent
SEARCHES = ("search", "findall", "finditer", "split", "sub", "subn")


def steps(read: Callable[[], object]) -> int:
    """Return how many lines of Python run during `read`, in selab and in the libraries that it uses."""
    count = 0

    def count_lines(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
        return count_lines

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        return count_lines

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read()
    finally:
        sys.settrace(before)
    return count


def patterns() -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    """Yield the place, the function of `re` and the pattern of each pattern in selab.

    The function of a compiled pattern is the first of SEARCHES with which its name is used, or `compile`.
    """
    sources = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    for path, source in sources.items():
        used = set(_USE.findall(source))
        nodes = list(ast.walk(ast.parse(source)))
        names = {
            node.value: target.id
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
        }
        named = {(call.lineno, call.col_offset): name for call, name in names.items()}
        for node in nodes:
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=function), args=[text, *_]
                ) if function != "escape":
                    options = {each.attr for each in _flags(node) if isinstance(each, ast.Attribute)}
                    flags = functools.reduce(operator.or_, (getattr(re, each) for each in options), re.NOFLAG)
                    name = named.get((node.lineno, node.col_offset), "")
                    uses = [each for each in SEARCHES if (name, each) in used]
                    if (pattern := _constant(text)) is not None:
                        place = f"{path.relative_to(PACKAGE)}: {pattern!r}"
                        yield place, uses[0] if uses else function, re.compile(pattern, flags)


_USE = re.compile(rf"\b(\w+)\.({'|'.join(SEARCHES)})\(")


def _constant(node: ast.AST) -> str | bytes | None:
    """Return a pattern, in which `x` stands for each part that is not constant; None if it has no text."""
    match node:
        case ast.Constant(value=str() | bytes() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(_constant(part) or "x") for part in parts)
        case ast.BinOp(left=left, right=right):
            first, second = _constant(left), _constant(right)
            if isinstance(first, bytes) or isinstance(second, bytes):
                return bytes(first or b"x") + bytes(second or b"x")  # type: ignore[arg-type]
            return f"{first or 'x'}{second or 'x'}"
    return None


def _flags(call: ast.Call) -> Iterator[ast.AST]:
    for argument in (*call.args[1:], *(keyword.value for keyword in call.keywords)):
        yield from (
            node
            for node in ast.walk(argument)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "re"
            and node.attr.isupper()
        )


def faults(function: str, pattern: re.Pattern[Any]) -> list[str]:
    """Return why a search for the pattern may take more than linear time."""
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    tree = _parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else 0)
    reasons = ["a repetition within a repetition"] if _is_nested(tree, within=False) else []
    if pattern.flags & re.MULTILINE and _crosses_lines(list(tree)):
        reasons.append("`^` and a repetition that runs over the ends of the lines")
    if function in SEARCHES and len(tree) > 1 and _is_open(tree[0]):
        reasons.append("a search that begins with a repetition, which every place of a run repeats")
    for items in _sequences(list(tree)):
        reasons += _overlaps(items)
    if function in SEARCHES:
        reasons += _restarts(list(tree), bool(pattern.flags & re.MULTILINE))
    return reasons


def _sequences(tree: list[Any]) -> Iterator[list[Any]]:
    """Yield the items of the pattern and of each branch and repetition in it."""
    items = list(_flattened(tree))
    yield items
    for operation, argument in items:
        if operation is sre.BRANCH:
            for branch in argument[1]:
                yield from _sequences(list(branch))
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield from _sequences(list(argument[2]))


def _overlaps(items: list[Any]) -> list[str]:
    """Find two open repetitions between which a run of the same characters can be divided in any place."""
    reasons = []
    for at, item in enumerate(items):
        if not _is_open(item):
            continue
        run = _characters(item)
        between: list[Any] = []
        for place, other in enumerate(items[at + 1 :], at + 1):
            overlaps = bool(_characters(other) & run)
            # What the second cannot contain divides the run: then its starts do not share characters.
            is_divided = any(not _characters(each) & _characters(other) for each in between)
            can_fail = any(map(_is_required, items[place + 1 :]))
            if _is_open(other) and overlaps and not is_divided and can_fail:
                reasons.append("two repetitions that can divide a run of the same characters in any place")
                break
            if _is_required(other):
                if not overlaps:
                    break
                between.append(other)
    return reasons


def _restarts(items: list[Any], multiline: bool) -> list[str]:
    """Find a repetition within which the search can begin again, and after which the pattern can fail."""
    items = list(_flattened(items))
    if items and items[0] == (sre.AT, sre.AT_BEGINNING) and not multiline:
        return []
    for at, item in enumerate(items):
        if not _is_open(item) or not any(_is_required(after) for after in items[at + 1 :]):
            continue
        run, before = _characters(item), [each for each in items[:at] if _is_required(each)]
        if items[0] == (sre.AT, sre.AT_BEGINNING) and "\n" not in run:
            continue
        if before and all(_characters(each) & run for each in before):
            return ["a search that can begin again at each place of its own repetition"]
    return []


def _flattened(items: list[Any]) -> Iterator[Any]:
    for operation, argument in items:
        if operation is sre.SUBPATTERN:
            yield from _flattened(list(argument[3]))
        else:
            yield operation, argument


def _is_required(item: Any) -> bool:
    """Return whether a match of the item has at least one character."""
    operation, argument = item
    if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return bool(argument[0]) and any(_is_required(each) for each in argument[2])
    if operation is sre.BRANCH:
        return all(any(_is_required(each) for each in branch) for branch in argument[1])
    if operation is sre.SUBPATTERN:
        return any(_is_required(each) for each in argument[3])
    return operation not in (sre.AT, sre.ASSERT, sre.ASSERT_NOT)


def _characters(item: Any) -> frozenset[str]:
    """Return which characters of SAMPLE can be in a match of the item."""
    operation, argument = item
    if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return _all_characters(argument[2])
    if operation is sre.BRANCH:
        return frozenset().union(*map(_all_characters, argument[1]))
    if operation is sre.SUBPATTERN:
        return _all_characters(argument[3])
    if operation is sre.IN:
        return _members(argument)
    simple: dict[Any, Callable[[], frozenset[str]]] = {
        sre.LITERAL: lambda: SAMPLE & {chr(argument)},
        sre.NOT_LITERAL: lambda: SAMPLE - {chr(argument)},
        sre.ANY: lambda: SAMPLE - {"\n"},
        sre.AT: frozenset,
        sre.ASSERT: frozenset,
        sre.ASSERT_NOT: frozenset,
    }
    return simple[operation]() if operation in simple else SAMPLE


def _all_characters(tree: Any) -> frozenset[str]:
    return frozenset().union(*map(_characters, tree))


def _members(items: Any) -> frozenset[str]:
    """Return the members of a class such as `[a-z\\s]`."""
    members: set[str] = set()
    for kind, value in items:
        if kind is sre.LITERAL:
            members.add(chr(value))
        elif kind is sre.RANGE:
            members |= {chr(number) for number in range(value[0], min(value[1], 255) + 1)}
        elif kind is sre.CATEGORY:
            members |= {each for each in SAMPLE if re.fullmatch(_CATEGORY[value], each)}
    return SAMPLE - members if items[0][0] is sre.NEGATE else SAMPLE & members


SAMPLE = frozenset(map(chr, range(256)))
"""The characters by which items of a pattern are compared."""
_CATEGORY = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _is_open(item: Any) -> bool:
    return item[0] in (sre.MAX_REPEAT, sre.MIN_REPEAT) and item[1][1] is sre.MAXREPEAT


def _is_nested(tree: Any, *, within: bool) -> bool:
    for operation, argument in tree:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            is_open = argument[1] is sre.MAXREPEAT
            if is_open and within:
                return True
            if _is_nested(argument[2], within=is_open or within):
                return True
        elif (
            operation is sre.SUBPATTERN
            and _is_nested(argument[3], within=within)
            or operation is sre.BRANCH
            and any(_is_nested(branch, within=within) for branch in argument[1])
        ):
            return True
    return False


def _crosses_lines(tree: list[Any]) -> bool:
    if len(tree) < 2 or tree[0] != (sre.AT, sre.AT_BEGINNING):
        return False
    return _is_open(tree[1]) and _accepts_newline(list(tree[1][1][2]))


def _accepts_newline(body: list[Any]) -> bool:
    (operation, argument), *_ = body
    return operation is sre.IN and (sre.CATEGORY, sre.CATEGORY_SPACE) in argument
