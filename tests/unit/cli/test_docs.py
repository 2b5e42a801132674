"""Every command that the documentation or the help shows is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from selab.cli.root import COMMANDS, SECTIONS, cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINE = re.compile(r"^    (?:\$ )?selab (?P<words>[^#\n]*)", re.MULTILINE)
_HELP = re.compile(r"^ *(?:Examples?: *)?selab (?P<words>[^\n]*)", re.MULTILINE)


def shown() -> list[str]:
    return [found["words"].strip() for page in PAGES for found in _LINE.finditer(page.read_text())]


def commands(group: click.Group = cli, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        found += commands(command, (*above, name)) if isinstance(command, click.Group) else [(*above, name)]
    return found


def parsed(words: list[str]) -> None:
    """Raise click.UsageError where `words` are no command."""
    command: click.Command = cli
    context = cli.make_context("selab", list(words))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)  # type: ignore[assignment]
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("line", shown())
def test_a_command_of_the_documentation_is_one(line: str) -> None:
    parsed(shlex.split(line))


@pytest.mark.parametrize("names", commands(), ids=" ".join)
def test_every_command_has_an_example_that_is_one(names: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in names:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    examples = [words["words"] for words in _HELP.finditer(command.help or "") if words["words"].split()[: len(names)] == list(names)]
    assert examples or names == ("completion",)
    for example in examples:
        parsed(shlex.split(example))


def test_the_commands_are_those_of_the_help() -> None:
    assert {names[0] for names in commands()} == set(COMMANDS)


def test_the_help_has_every_command_in_one_section() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_the_top_level_has_an_example_that_is_one() -> None:
    examples = [found["words"] for found in _HELP.finditer(cli.help or "")]
    assert examples
    for example in examples:
        parsed(shlex.split(example))
