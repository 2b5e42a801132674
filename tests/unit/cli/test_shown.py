"""Every command in the documentation is valid, names what exists, and is run by a test.

This module runs those that need no VM."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from selab.cli.root import cli
from selab.history import History
from selab.project import find_project
from selab.scaffold.example import init
from tests.shown import ELSEWHERE, HERE, ON_A_VM, ROOT, Shown, parsed, shown
from tests.unit.test_history import finished

LOG = "/var/log/audit/audit.log"


def test_each_line_is_run_by_a_test() -> None:
    places = {
        str(line): [path for name, path in ELSEWHERE.items() if line.is_one_of(name)]
        for line in shown()
        if not line.is_one_of(*HERE, *ON_A_VM)
    }
    assert [line for line, paths in places.items() if not paths or not (ROOT / paths[0]).exists()] == []


@pytest.mark.parametrize("line", shown(), ids=str)
def test_it_is_a_command_and_its_files_are_the_examples_or_the_pages_own(line: Shown) -> None:
    assert [
        place
        for place in named(line)
        if not place.exists() and f"`{place.relative_to(ROOT)}`" not in line.page.read_text()
    ] == []


def named(line: Shown) -> list[Path]:
    """The files of the scenarios and policies that a command names."""
    given = parsed(line.words).params
    page = line.page.read_text()

    def is_in_cil(name: str) -> bool:
        return f"`policies/{name}.cil`" in page

    policies = [
        name for name in (given.get("policy"), *given.get("policies", ())) if name not in (None, "none")
    ]
    scenarios = [given["scenario"]] if given.get("scenario") else []
    return [
        *(ROOT / "policies" / f"{name}.{'cil' if is_in_cil(name) else 'te'}" for name in policies),
        *(ROOT / "scenarios" / f"{name}.yaml" for name in scenarios),
    ]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter the example project, with two runs in its history and an audit log of its own."""
    init(tmp_path)
    for number in (1, 2, 3):
        History.of(find_project(tmp_path)).add(finished(number, "apache"))
    shutil.copy(ROOT / "tests" / "corpus" / "container_mcs.log", tmp_path / "audit.log")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", [line for line in shown() if line.is_one_of(*HERE)], ids=str)
def test_it_does_what_it_says(line: Shown, lab: Path) -> None:
    done = CliRunner().invoke(
        cli, [word.replace(LOG, "audit.log") for word in line.words], standalone_mode=False
    )
    assert done.exception is None and done.return_value in (None, 0)
