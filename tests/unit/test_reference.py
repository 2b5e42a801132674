"""docs/reference/ agrees with the commands and the models, and guest-state.md with selab.guest_state."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from selab.cli.root import COMMANDS
from selab.guest_state import EXIT_CODES, STATE_FILES
from tests.shown import commands

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "script" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = script()
PAGES: dict[str, str] = REFERENCE.pages()
WRITTEN_BY_HAND = ("limits.md",)  # test_limits compares it with the constants


@pytest.mark.parametrize("name", PAGES)
def test_it_is_current(name: str) -> None:
    """If it is not, run script/reference."""
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name]


def test_the_page_about_the_guest_lists_what_the_module_defines() -> None:
    page = REFERENCE.GUEST_STATE.read_text()
    assert REFERENCE.with_tables(page) == page and page.count("\n| ") > len(STATE_FILES) + len(EXIT_CODES)


def test_nothing_else_is_there() -> None:
    assert {path.name for path in (ROOT / "docs" / "reference").iterdir()} == {*PAGES, *WRITTEN_BY_HAND}


@pytest.mark.parametrize("names", commands(), ids=" ".join)
def test_every_command_is_there(names: tuple[str, ...]) -> None:
    assert f"## `selab {' '.join(names)} " in PAGES["commands.md"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_has_every_command_once(name: str) -> None:
    overview = PAGES["commands.md"].partition("## Overview")[2].partition("\n## ")[0]
    assert overview.count(f"| [`selab {name}`](#") == 1
