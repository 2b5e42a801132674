"""Each module of selab with logic has a test file at the same place below tests/unit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import selab

PACKAGE, TESTS = Path(selab.__file__).parent, Path(__file__).parent


def has_logic(path: Path) -> bool:
    """Whether a module has a function with more than a docstring: protocols and data have none."""
    return any(
        isinstance(node, ast.FunctionDef) and any(not _is_inert(statement) for statement in node.body)
        for node in ast.walk(ast.parse(path.read_text()))
    )


def _is_inert(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def mirror(name: str) -> Path:
    """The test file for the module `name`: x/y.py has x/test_y.py, and x/__init__.py has x/test_x.py."""
    path = Path(name)
    stem = (PACKAGE / path).parent.name if path.name == "__init__.py" else path.stem.strip("_")
    return TESTS / path.parent / f"test_{stem}.py"


def test_each_module_has_a_test_file_at_the_same_place() -> None:
    names = [
        path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")) if has_logic(path)
    ]
    assert [name for name in names if not mirror(name).is_file()] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("X = 1", False),
        ("class A:\n    def f(self) -> None: ...", False),
        ('class A:\n    def f(self) -> None:\n        """It does."""', False),
        ("def f() -> int:\n    return 1", True),
        ("class A:\n    def f(self) -> int:\n        return 1", True),
    ],
)
def test_a_function_with_a_body_is_logic(source: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source)
    assert has_logic(tmp_path / "module.py") is expected
