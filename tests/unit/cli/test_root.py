"""The commands of the top group and the options that all of them share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from selab import __version__
from selab.cli.root import COMMANDS, SECTIONS, cli
from selab.cli.session import Context


def context_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> Context:
    """The context that a command gets."""
    contexts: list[Context] = []

    @click.command()
    @click.pass_obj
    def probe(context: Context) -> None:
        contexts.append(context)

    monkeypatch.setattr(type(cli), "get_command", lambda *_: probe)
    assert CliRunner().invoke(cli, [*words, "probe"]).exit_code == 0
    return contexts[0]


def test_each_command_is_in_one_section_of_the_help() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_one_of_its_name(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.name == name


def test_an_unknown_command_is_none() -> None:
    assert cli.get_command(click.Context(cli), "rnu") is None


def test_the_help_lists_every_command_with_what_it_does() -> None:
    text = CliRunner().invoke(cli, ["--help"], terminal_width=200).output
    assert [
        name for name, (_, line) in COMMANDS.items() if f"  {name} " not in text or line not in text
    ] == []


@pytest.mark.program
def test_the_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom selab.cli.root import COMMANDS, cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "sys.exit(any(module in sys.modules for module, _ in COMMANDS.values()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"selab, version {__version__}\n"


@pytest.mark.parametrize(("words", "waits"), [((), True), (("--no-wait",), False)])
def test_a_command_waits_for_the_vm_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], waits: bool
) -> None:
    assert context_of(monkeypatch, *words).waits is waits


def test_the_directories_and_the_log_are_the_given_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = context_of(monkeypatch, "-C", str(tmp_path), "--vagrant-dir", "/v", "-v")
    assert (context.project_dir, context.vagrant_dir, context.verbose) == (tmp_path, Path("/v"), True)
    plain = context_of(monkeypatch)
    assert (plain.project_dir, plain.vagrant_dir, plain.verbose) == (None, None, False)
