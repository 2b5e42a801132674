"""What docs/reference/ says is what the commands and the models say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.shown import commands

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "script" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES: dict[str, str] = script().pages()


@pytest.mark.parametrize("name", PAGES)
def test_it_is_current(name: str) -> None:
    """Where it is not: script/reference."""
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name]


def test_nothing_else_is_there() -> None:
    assert {path.name for path in (ROOT / "docs" / "reference").iterdir()} == set(PAGES)


@pytest.mark.parametrize("names", commands(), ids=" ".join)
def test_every_command_is_there(names: tuple[str, ...]) -> None:
    assert f"## `selab {' '.join(names)} " in PAGES["commands.md"]
