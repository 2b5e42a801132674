"""Exit codes and the shape of errors, through the program's own entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.__main__ import run
from selab.cli.context import Context
from selab.cli.root import COMMANDS, cli
from selab.project import Project


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--nonsense"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "selab run apache" in capsys.readouterr().err


def test_outside_of_a_project_a_run_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(tmp_path), "run", "apache"]) == 2
    assert "There is no selab.yaml" in capsys.readouterr().err


def test_an_unknown_scenario_is_wrong_input_of_three_lines_at_most(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.scenarios / "apache.yaml").write_text("image: httpd\n")
    assert run(["-C", str(project.root), "run", "apach"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert 1 <= len(said.err.strip().splitlines()) <= 3
    assert "Did you mean 'apache'?" in said.err


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert run(["run", "apache"]) == 130
    assert capsys.readouterr().err.strip() == "Error: Interrupted."


def test_an_escape_sequence_in_an_error_does_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["\x1b[31mred"]) == 2
    assert "\x1b[31mred" not in capsys.readouterr().err


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_a_context_is_not_taken_for_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    context = Context()
    context.out.print("a:b:none_t:s0")
    context.console.print("a:b:none_t:s0")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a:b:none_t:s0\n", "a:b:none_t:s0\n")
