"""Every command has a valid example in its help; test_shown.py tests the commands in the documentation."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from selab.cli.root import COMMANDS, SECTIONS, cli
from tests.shown import commands, parsed

_HELP = re.compile(r"^ *(?:Examples?: *)?selab (?P<words>[^\n]*)", re.MULTILINE)


WITHOUT_EXAMPLE = {("completion",): "its help shows the lines for the shells' configuration files"}


@pytest.mark.parametrize(
    "names", [names for names in commands() if names not in WITHOUT_EXAMPLE], ids=" ".join
)
def test_every_command_has_an_example_that_is_one(names: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in names:
        assert isinstance(command, click.Group)
        subcommand = command.get_command(click.Context(command), name)
        assert subcommand is not None
        command = subcommand
    examples = [
        words["words"]
        for words in _HELP.finditer(command.help or "")
        if words["words"].split()[: len(names)] == list(names)
    ]
    assert examples
    for example in examples:
        parsed(shlex.split(example))


def test_the_commands_are_those_of_the_help() -> None:
    assert {names[0] for names in commands()} == set(COMMANDS)


def test_the_help_has_every_command_in_one_section() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


def test_the_top_level_has_an_example_that_is_one() -> None:
    examples = [match["words"] for match in _HELP.finditer(cli.help or "")]
    assert examples
    for example in examples:
        parsed(shlex.split(example))
