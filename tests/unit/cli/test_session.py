"""The context of a command: its project, two consoles and the log, each created when it is first used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from selab.cli.session import PIPE_WIDTH, Context
from selab.errors import InputError
from selab.project import Project


def slot(project: Project, name: str) -> Path:
    """Make a VM of the project's matrix."""
    directory = project.state / "vms" / name
    directory.mkdir(parents=True)
    (directory / "selab.yaml").write_text("")
    return directory


def test_the_project_is_that_of_the_current_directory(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.policies)
    assert Context().project.root == project.root


def test_a_named_directory_comes_before_the_current_one(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert Context(project.scenarios).project.root == project.root


def test_the_vagrantfile_may_be_elsewhere(project: Project, tmp_path: Path) -> None:
    assert Context(project.root, tmp_path / "v").project.vagrant_dir == tmp_path / "v"


def test_a_slot_is_the_project_of_a_vm_of_the_matrix(project: Project) -> None:
    context = Context(project.root, waits=False)
    context.slot = "auto-1"
    directory = slot(project, "auto-1")
    assert (context.project.root, context.project.waits) == (directory, False)


def test_an_unknown_slot_is_wrong_input(project: Project) -> None:
    context = Context(project.root)
    context.slot = "auto-9"
    with pytest.raises(InputError, match="There is no VM 'auto-9'"):
        _ = context.project


@pytest.mark.parametrize("waits", [True, False])
def test_the_project_knows_whether_to_wait(project: Project, waits: bool) -> None:
    assert Context(project.root, waits=waits).project.waits is waits


@pytest.mark.parametrize(("verbose", "lines"), [(False, 0), (True, 1)])
def test_the_log_is_always_in_the_file_and_on_request_on_standard_error_once(
    project: Project, capsys: pytest.CaptureFixture[str], verbose: bool, lines: int
) -> None:
    context = Context(project.root, verbose=verbose)
    assert context.project
    context.show_log(verbose)
    logging.getLogger("selab").warning("hello")
    assert (project.state / "selab.log").read_text().count("hello") == 1
    assert capsys.readouterr().err.count("hello") == lines


def test_results_and_all_else_are_apart_and_neither_reads_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    context = Context()
    context.out.print("u:r:smile:s0")
    context.console.print("u:r:smile:s1")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("u:r:smile:s0\n", "u:r:smile:s1\n")


def test_a_pipe_has_room_for_long_lines() -> None:
    assert Context().out.width == PIPE_WIDTH


def test_each_progress_has_its_own_timings(project: Project) -> None:
    context = Context(project.root)
    assert context.progress is context.progress
    with context.new_progress().step("Doing", "key"):
        pass
    assert context.progress.timings == {}


def test_progress_without_a_project_leaves_the_project_alone(project: Project) -> None:
    before = sorted(project.root.rglob("*"))
    context = Context(project.root)
    with context.progress_without_project.step("Reading"):
        pass
    context.close()
    assert sorted(project.root.rglob("*")) == before


def test_the_durations_of_steps_are_kept_for_the_next_command(project: Project) -> None:
    first = Context(project.root)
    first.durations.took("Compiling", 7.0)
    first.close()
    assert Context(project.root).durations.last("Compiling") == 7.0


def test_a_command_that_needs_no_project_leaves_nothing_in_it(project: Project) -> None:
    before = sorted(project.root.rglob("*"))
    Context(project.root).close()
    assert sorted(project.root.rglob("*")) == before


def test_outside_of_a_project_durations_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    context = Context()
    context.durations.took("Compiling", 7.0)
    context.close()
    assert list(tmp_path.iterdir()) == []
