"""Exit codes and the shape of errors, through the program's own entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.__main__ import run
from selab.cli.logfile import log_to
from selab.cli.root import COMMANDS, cli
from selab.cli.session import Context
from selab.policy import toolchain
from selab.project import Project


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--nonsense"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "selab -C lab run apache" in capsys.readouterr().err


def test_outside_of_a_project_a_run_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(tmp_path), "run", "apache"]) == 2
    captured = capsys.readouterr().err
    assert "There is no selab.yaml" in captured and "`selab init`" in captured


def test_an_unknown_scenario_is_wrong_input_of_three_lines_at_most(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.scenarios / "apache.yaml").write_text("image: httpd\n")
    assert run(["-C", str(project.root), "run", "apach"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert 1 <= len(captured.err.strip().splitlines()) <= 3
    assert "Did you mean 'apache'?" in captured.err


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert run(["run", "apache"]) == 130
    assert capsys.readouterr().err.strip() == "Error: Interrupted."


def test_an_unforeseen_exception_is_an_error_of_three_lines_and_not_a_fail(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def faulty(*arguments: object, **more: object) -> None:
        log_to(project.state / "selab.log")
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(cli, "main", faulty)
    assert run(["run", "apache"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Error: selab has a fault." and len(lines) == 3
    assert "ZeroDivisionError: by zero" in lines[1] and "test_main.py:" in lines[1]
    assert "selab.log" in lines[2] and "Report it" in lines[2]
    assert "Traceback" in (project.state / "selab.log").read_text()


def test_an_escape_sequence_in_an_error_does_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
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
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("a:b:none_t:s0\n", "a:b:none_t:s0\n")


@pytest.mark.parametrize(("width", "widest"), [("60", 60), ("300", 120)])
def test_the_help_fits_the_terminal(
    width: str, widest: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    run(["--help"])
    assert 40 < max(map(len, capsys.readouterr().out.splitlines())) <= widest


@pytest.mark.parametrize(
    ("arguments", "code", "command"),
    [
        (["run", "new"], 2, "selab new scenario new"),
        (["run", "web", "--policy", "wob"], 2, "selab new policy wob"),
        (["learn", "web"], 2, "selab new policy web"),
        (["show"], 2, "selab run SCENARIO"),
        (["explain"], 2, "selab run SCENARIO"),
        (["check"], 3, "selab run web"),
        (["install", "app"], 2, "selab new scenario app --policy app"),
        (["vm", "ssh", "--", "id"], 3, "selab vm up"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_first_mistake_names_the_next_command(
    arguments: list[str],
    code: int,
    command: str,
    project: Project,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(project.root / "cache"))
    monkeypatch.setattr(toolchain, "missing_on_host", list)
    (project.scenarios / "web.yaml").write_text("image: x:y\n")
    (project.policies / "app.te").write_text("policy_module(app, 1.0)\n")
    assert run(["-C", str(project.root), *arguments]) == code
    assert command in capsys.readouterr().err
