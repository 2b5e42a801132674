"""What the shell is offered."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from selab.cli.root import COMMANDS, cli
from selab.policy.base import BASES, FACTS, directory_name
from selab.policy.survey import StoreFacts, keep_facts
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


@pytest.mark.parametrize(
    "arguments", [("check",), ("audit",), ("install",), ("export",), ("run", "--policy")]
)
def test_policies(arguments: tuple[str, ...], words: Project) -> None:
    assert offered(*arguments) == ["web"]


@pytest.mark.parametrize("command", ["explain", "suggest", "replay", "diff"])
def test_runs(command: str, words: Project) -> None:
    assert "last" in offered(command)


def test_images(words: Project) -> None:
    (words.images / "httpd").mkdir()
    assert offered("new", "policy", "--for") == ["httpd"]


@pytest.mark.parametrize("command", ["show", "export"])
def test_base_policies(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to no project."""
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fingerprint = "c" * 64
    facts = StoreFacts("test", 33, True, False, fingerprint, system="CentOS Stream 9")
    (tmp_path / BASES / directory_name(fingerprint)).mkdir(parents=True)
    keep_facts(facts, tmp_path / BASES / directory_name(fingerprint) / FACTS)
    assert offered("base", command, incomplete="c") == ["centos9", fingerprint[:12]]
    assert offered("base", command, incomplete="d") == []


def test_without_a_cache_no_base_policy_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "file" / "cache"))
    assert offered("base", "show") == []


def test_commands() -> None:
    assert set(COMMANDS) <= set(offered())


def test_without_a_project_nothing_is_offered(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert offered("run") == []
