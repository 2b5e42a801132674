"""List the commands that the documentation shows, and which test runs each of them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from selab.cli.root import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINE = re.compile(r"^    (?:\$ )?selab (?P<words>[^#\n]*)", re.MULTILINE)

HERE = (
    "init",
    "schema",
    "completion",
    "denials",
    "history",
    "show",
    "diff",
    "report",
    "box list",
    "box name",
    "base list",
)
"""Commands that need no VM and no base policy. tests/unit/cli/test_shown.py runs them unchanged."""
ON_A_VM = ("run", "check", "replay", "explain", "suggest", "audit", "vm status", "vm ssh")
"""Commands that need a VM. tests/vm/test_shown.py runs those whose names the example project has."""
ELSEWHERE = {
    "base": "tests/unit/cli/test_base.py",
    "box build": "tests/vm/conftest.py",  # every VM test uses the box that it builds
    "box remove": "tests/unit/vm/box/test_build.py",
    "doctor": "tests/unit/doctor/test_examine.py",
    "install": "tests/unit/workflows/test_install.py",
    "uninstall": "tests/unit/workflows/test_install.py",
    "learn": "tests/vm/test_learn.py",
    "minimise": "tests/vm/test_learn.py",
    "matrix": "tests/unit/matrix",
    "new": "tests/unit/scaffold",
    "trust": "tests/unit/cli/test_trust.py",
    "export": "tests/unit/export",
    "watch": "tests/unit/analysis/test_check.py",
    "vm": "tests/vm/test_machine.py",
}
"""Commands that need a person or another box or VM, or that change the project; these tests call their
functions."""


@dataclass(frozen=True)
class Shown:
    """A command in the documentation.

    page: the page that shows it.
    line: the command without the word selab.
    """

    page: Path
    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.line}"

    def is_one_of(self, *names: str) -> bool:
        """Return whether it is one of these commands, or a subcommand of one."""
        rest = self.words[2:] if self.words[:1] == ["-C"] else self.words
        words = [word for word in rest if not word.startswith("-")]
        return any(words[: len(name.split())] == name.split() for name in names)


def shown() -> list[Shown]:
    """Return each command once, with the first page that shows it."""
    lines: dict[str, Shown] = {}
    for page in PAGES:
        for line in _LINE.finditer(page.read_text()):
            lines.setdefault(line["words"].strip(), Shown(page, line["words"].strip()))
    return list(lines.values())


def parsed(words: list[str]) -> click.Context:
    """Return the command's context, with its arguments in `params`.

    Raises click.UsageError if `words` are not a valid command.
    """
    command: click.Command = cli
    context = cli.make_context("selab", list(words))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)  # type: ignore[assignment]
        context = command.make_context(name, rest, parent=context)
    return context


def commands(group: click.Group = cli, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the names of all commands that are not groups, each with the names of its groups."""
    paths: list[tuple[str, ...]] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        paths += commands(command, (*above, name)) if isinstance(command, click.Group) else [(*above, name)]
    return paths
