"""The jobs of docs/howto/ci/, as far as they can be tried without the services that they are for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shown import ELSEWHERE, HERE, ON_A_VM, ROOT, Shown, parsed

FILES = sorted((ROOT / "docs" / "howto" / "ci").glob("*.yml"))
SCRIPTS = ("run", "script", "before_script", "after_script")
_SELAB = re.compile(r"(?:^|\$\()\s*selab (?P<words>[^)\n]*)", re.MULTILINE)
_SETUP = re.compile(r"^(?P<package>[a-z0-9.+-]+)\|[^|\n]+\|", re.MULTILINE)

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def scripts(node: Any, key: str = "") -> Iterator[str]:
    """What a job gives to a shell."""
    if isinstance(node, dict):
        for name, below in node.items():
            yield from scripts(below, str(name))
    elif isinstance(node, list):
        for below in node:
            yield from scripts(below, key)
    elif key in SCRIPTS:
        yield str(node)


def commands(file: Path) -> list[Shown]:
    text = "\n".join(scripts(yaml.safe_load(file.read_text())))
    return [Shown(file, match["words"].strip()) for match in _SELAB.finditer(text)]


def test_there_is_one_for_each_service() -> None:
    assert [file.stem for file in FILES] == ["github", "gitlab"]


@each_file
def test_each_of_its_commands_is_one_and_is_run_by_a_test(file: Path) -> None:
    lines = commands(file)
    assert any(line.is_one_of("run") for line in lines)
    for line in lines:
        parsed(line.words)
        assert line.is_one_of(*HERE, *ON_A_VM, *ELSEWHERE)


@each_file
def test_it_runs_a_scenario_of_the_example_in_enforcing_mode_with_both_reports(file: Path) -> None:
    given = next(parsed(line.words).params for line in commands(file) if line.is_one_of("run"))
    assert (ROOT / "scenarios" / f"{given['scenario']}.yaml").exists() and (
        ROOT / "policies" / f"{given['policy']}.te"
    ).exists()
    assert (given["setenforce"], str(given["junit"]), str(given["sarif"])) == (
        "yes",
        "junit.xml",
        "selab.sarif",
    )


@each_file
def test_the_page_shows_the_file(file: Path) -> None:
    assert f"```yaml\n{file.read_text()}```" in (ROOT / "docs" / "howto" / "ci.md").read_text()


@each_file
def test_it_installs_what_script_setup_does(file: Path) -> None:
    table = (ROOT / "selab/host/packages/debian.txt").read_text().partition("\n[")[0]
    needed = {match["package"] for match in _SETUP.finditer(table)} - {"python3-venv"}  # pipx requires it
    words = {
        word
        for script in scripts(yaml.safe_load(file.read_text()))
        for word in shlex.split(script.replace("\\\n", " "))
    }
    assert needed and needed <= words
