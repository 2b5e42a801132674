"""Retired names do not come back: neither in modules, classes and functions, nor in parameters and locals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = ("selab", "tests", "benchmarks", "script")

PRIVATE_VOCABULARY = frozenset({
    "Lab", "Study", "Lesson", "Need", "Expert", "Ask", "ask_together", "View", "view_of", "begun",
    "_foretell", "is_riddle", "see_login", "undone", "equip", "Wish", "Which", "BorrowedMachine", "borrowed",
    "counsel", "rehearse", "Draft", "Inspection", "Review", "Ground", "ground", "Laboratory", "LocalChanges",
    "local_changes", "trespass", "Told",
})  # fmt: skip
"""A reader who knows the field's terms does not know these names."""
VAGUE = frozenset({"found", "told", "wanted", "said", "one", "kept", "asked"})
"""A variable or function must carry the name of the thing instead: `plan`, `headings`, `row`."""
RETIRED_MODULES = frozenset({
    "counsel", "review", "inspection", "rehearsal", "initial", "skeleton", "borrowed", "trespass", "ask",
    "changes", "obedient", "laboratory",
})  # fmt: skip
RETIRED = re.compile(rf"\b({'|'.join(PRIVATE_VOCABULARY | VAGUE)})\b(?![.'\"]| (?!(in|if|as)\b)[a-z])")
"""What may declare a name: in prose, a period, a quote or a word other than in, if and as follows it."""


def files() -> list[Path]:
    return sorted(path for directory in CHECKED for path in (ROOT / directory).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def declared(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that the code declares, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


def retired(source: str) -> list[str]:
    if not RETIRED.search(source):
        return []
    names = sorted(set(declared(ast.parse(source))), key=lambda entry: entry[1])
    return [f"{name} (line {line})" for name, line in names if name in PRIVATE_VOCABULARY | VAGUE]


def test_no_file_declares_a_retired_name() -> None:
    names = {place(path): retired(path.read_text()) for path in files()}
    assert {path: declarations for path, declarations in names.items() if declarations} == {}


def test_no_module_has_a_retired_name() -> None:
    assert [
        place(path)
        for path in files()
        if RETIRED_MODULES & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ] == []


@pytest.mark.parametrize(
    "source",
    [
        "class Lab: ...",
        "def rehearse(): ...",
        "async def found(): ...",
        "def f(told): ...",
        "f = lambda wanted: wanted",
        "said = 1",
        "[one for one in ()]",
        "if kept := 1: ...",
        "for asked in (): ...",
        "with f() as found: ...",
        "try: ...\nexcept E as found: ...",
        "import x as found",
        "match x:\n  case [found, *told]: ...",
    ],
)
def test_a_retired_name_is_detected(source: str) -> None:
    assert retired(source)


def test_other_names_are_allowed() -> None:
    assert retired("def f(row, *, heading=1):\n  match = row.found\n  return f(told=match)") == []
