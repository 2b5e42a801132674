"""What the shell is offered."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from selab.cli.root import COMMANDS, cli
from selab.project import Project


@pytest.fixture
def words(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.scenarios / "apache.yaml").write_text("image: x")
    (project.policies / "web.te").write_text("")
    monkeypatch.chdir(project.root)
    return project


def offered(*arguments: str, incomplete: str = "") -> list[str]:
    return [
        item.value
        for item in ShellComplete(cli, {}, "selab", "_SELAB_COMPLETE").get_completions(
            list(arguments), incomplete
        )
    ]


@pytest.mark.parametrize("command", ["run", "watch", "learn", "minimise", "history"])
def test_scenarios(command: str, words: Project) -> None:
    assert offered(command, incomplete="ap") == ["apache"]


@pytest.mark.parametrize("arguments", [("check",), ("audit",), ("install",), ("run", "--policy")])
def test_policies(arguments: tuple[str, ...], words: Project) -> None:
    assert offered(*arguments) == ["web"]


@pytest.mark.parametrize("command", ["explain", "suggest", "replay", "diff"])
def test_runs(command: str, words: Project) -> None:
    assert "last" in offered(command)


def test_images(words: Project) -> None:
    (words.images / "httpd").mkdir()
    assert offered("new", "policy", "--for") == ["httpd"]


def test_commands() -> None:
    assert set(COMMANDS) <= set(offered())


def test_without_a_project_nothing_is_offered(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert offered("run") == []
