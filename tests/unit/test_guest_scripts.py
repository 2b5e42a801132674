"""The scripts of the guest's side: how they are loaded, and what each of them must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import selab
from selab.guest import script, script_argv

ROOT = Path(selab.__file__).parent
FILES = {f"{path.parents[1].relative_to(ROOT)}/{path.stem}": path for path in ROOT.rglob("scripts/*.sh")}
"""The file of each script, by the script's name."""
PARTS = sorted(name for name in FILES if "/lib-" in name)
SCRIPTS = sorted(FILES.keys() - set(PARTS))
HEADINGS = ["Arguments", "Prints", "Exit codes"]
TYPED = ("vm/restore-base", "vm/quiet-terminal")
"""The scripts that selab types into the serial console."""


def parsed(text: str) -> str:
    """The text as bash prints it after parsing, which depends on neither comments nor line breaks."""
    done = subprocess.run(
        ["bash", "-c", f"parsed() {{\n{text}\n}}\ndeclare -f parsed"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout


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


@pytest.mark.parametrize("name", FILES)
def test_what_a_guest_gets_means_what_the_file_says(name: str) -> None:
    assert parsed(script(name)) == parsed(whole(FILES[name]))


@pytest.mark.parametrize("name", FILES)
def test_no_comment_and_no_empty_line_is_sent(name: str) -> None:
    assert not re.search(r"^\s*(#.*)?$", script(name), re.MULTILINE)


def test_an_included_file_stands_in_place_of_its_line() -> None:
    text = script("policy/same-store")
    assert text.startswith(script("policy/lib-sign") + "\n") and "lib-sign" not in text


def test_arguments_follow_the_text() -> None:
    assert script_argv("container/has-program", "a b") == ["sh", "-c", 'command -v "$1"', "sh", "a b"]


@pytest.mark.parametrize("shell", [["sh", "-n"], ["bash", "--posix", "-n"]], ids=["sh", "bash"])
@pytest.mark.parametrize("name", FILES)
def test_the_shell_of_every_distribution_can_parse_it(name: str, shell: list[str]) -> None:
    done = subprocess.run(
        [*shell, "/dev/stdin"], input=script(name), text=True, capture_output=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_it_names_its_shell_and_says_what_it_does(name: str) -> None:
    shell, first, *_ = FILES[name].read_text().splitlines()
    assert shell == "#!/bin/sh" and re.match(r"# [A-Z]", first)


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_says_what_it_takes_and_what_it_gives(name: str) -> None:
    headings = [line[2:].partition(":")[0] for line in header(name)]
    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """The text of each module and table that may run a script."""
    paths = {*ROOT.rglob("*.py"), *ROOT.rglob("*.toml")} - {ROOT / "guest_state.py"}
    return [path.read_text() for path in paths]


@pytest.mark.parametrize("name", SCRIPTS)
def test_selab_runs_it(name: str, sources: list[str]) -> None:
    assert any(f'"{name}"' in source for source in sources)


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
