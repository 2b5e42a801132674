"""The scripts of the guest's side: how they are loaded, and what each of them must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import selab
from selab.guest import script, script_argv
from tests.unit.shells import refused

ROOT = Path(selab.__file__).parent
FILES = {f"{path.parents[1].relative_to(ROOT)}/{path.stem}": path for path in ROOT.rglob("scripts/*.sh")}
"""The file of each script, by the script's name."""
PARTS = sorted(name for name in FILES if "/lib-" in name)
SCRIPTS = sorted(FILES.keys() - set(PARTS))
HEADINGS = ["Arguments", "Prints", "Exit codes"]
TYPED = ("vm/restore-base", "vm/quiet-terminal")
"""The scripts that selab types into the serial console."""


def parsed(texts: dict[str, str]) -> dict[str, str]:
    """Each text as bash prints it after parsing, which depends on neither comments nor line breaks."""
    functions = [f"script_{number}() {{\n{text}\n}}\n" for number, text in enumerate(texts.values())]
    done = subprocess.run(
        ["bash", "-c", "".join(functions) + "declare -f"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    printed = dict(re.findall(r"^script_(\d+) \(\) \n(.*?\n\})$", done.stdout, re.MULTILINE | re.DOTALL))
    return {name: printed[str(number)] for number, name in enumerate(texts)}


def whole(path: Path) -> str:
    """The text of a script with its comments, and with the parts that it includes."""
    return re.sub(
        r"^\. \./(.*)$",
        lambda match: path.with_name(match[1]).read_text(),
        path.read_text(),
        flags=re.MULTILINE,
    )


def header(name: str) -> list[str]:
    """The lines of the comment at the top of a script, after the line that names the shell."""
    lines = FILES[name].read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return lines[1:end]


def test_what_a_guest_gets_means_what_the_file_says() -> None:
    assert parsed({name: script(name) for name in FILES}) == parsed(
        {name: whole(path) for name, path in FILES.items()}
    )


def test_no_comment_and_no_empty_line_is_sent() -> None:
    assert [name for name in FILES if re.search(r"^\s*(#.*)?$", script(name), re.MULTILINE)] == []


def test_an_included_file_stands_in_place_of_its_line() -> None:
    text = script("policy/same-store")
    assert text.startswith(script("policy/lib-sign") + "\n") and "lib-sign" not in text


def test_arguments_follow_the_text() -> None:
    assert script_argv("container/has-program", "a b") == ["sh", "-c", 'command -v "$1"', "sh", "a b"]


@pytest.mark.parametrize("shell", ["sh -n", "bash --posix -n"])
def test_the_shell_of_every_distribution_can_parse_it(shell: str) -> None:
    assert refused(shell, {name: script(name) for name in FILES}) == ""


def test_it_names_its_shell_and_says_what_it_does() -> None:
    first = {name: path.read_text() for name, path in FILES.items()}
    assert [name for name, text in first.items() if not re.match(r"#!/bin/sh\n# [A-Z]", text)] == []


def test_it_says_what_it_takes_and_what_it_gives() -> None:
    headings = {name: [line[2:].partition(":")[0] for line in header(name)] for name in SCRIPTS}
    assert [
        name for name, lines in headings.items() if [line for line in lines if line in HEADINGS] != HEADINGS
    ] == []


def test_selab_runs_it() -> None:
    modules_and_tables = {*ROOT.rglob("*.py"), *ROOT.rglob("*.toml")} - {ROOT / "guest_state.py"}
    source = "\n".join(path.read_text() for path in modules_and_tables)
    assert [name for name in SCRIPTS if f'"{name}"' not in source] == []


@pytest.mark.parametrize("name", PARTS)
def test_it_names_the_scripts_that_include_it(name: str) -> None:
    includers = {
        path.name
        for path in FILES[name].parent.iterdir()
        if f". ./{FILES[name].name}" in path.read_text().splitlines()
    }
    assert includers and includers == set(re.findall(r"[a-z-]+\.sh", header(name)[0]))


@pytest.mark.parametrize("name", TYPED)
def test_what_is_typed_into_a_console_is_one_line(name: str) -> None:
    assert "\n" not in script(name)
