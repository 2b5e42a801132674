"""`selab new` writes a first policy or scenario and overwrites nothing."""

from __future__ import annotations

import pytest
import yaml

from selab.project import Project

from .conftest import Selab


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("scenario", "web"), "scenarios/web.yaml"),
        (("policy", "web"), "policies/web.te"),
        (("policy", "web", "--cil"), "policies/web.cil"),
    ],
)
def test_a_file_is_written_once(
    selab: Selab, project: Project, words: tuple[str, ...], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selab("new", *words) == 0
    assert capsys.readouterr().out.split() == [file]
    text = (project.root / file).read_text()
    assert selab("new", *words) == 2
    assert (project.root / file).read_text() == text


@pytest.mark.parametrize(("words", "policy"), [((), "web"), (("--policy", "other"), "other")])
def test_a_scenario_names_its_policy(
    selab: Selab, project: Project, words: tuple[str, ...], policy: str
) -> None:
    for name in ("web", "other"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    selab("new", "scenario", "web", *words)
    assert yaml.safe_load((project.scenarios / "web.yaml").read_text())["policy"] == policy


@pytest.mark.parametrize("kind", ["scenario", "policy"])
@pytest.mark.parametrize("name", ["../web", "a b", ""])
def test_a_name_that_is_a_path_or_several_words_is_wrong_input(
    selab: Selab, project: Project, kind: str, name: str
) -> None:
    assert selab("new", kind, name) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--for-service", "web", "--for", "x"),
        ("--for-service", "web", "--cil"),
        ("--package", "web"),
        ("--for-service", "sshd"),
    ],
)
def test_a_policy_is_for_a_service_or_for_an_image(
    selab: Selab, project: Project, words: tuple[str, ...]
) -> None:
    assert selab("new", "policy", "web", *words) == 2
    assert [*project.policies.iterdir()] == []


def test_a_policy_for_a_service_needs_a_running_guest(
    selab: Selab, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert selab("new", "policy", "web", "--for-service", "web") == 3
    assert "`selab vm up`" in capsys.readouterr().err
    assert [*project.policies.iterdir()] == []


def test_a_scenario_for_a_service_names_its_unit_and_packages(selab: Selab, project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    assert selab("new", "scenario", "web", "--for-service", "web", "--package", "a", "--package", "b") == 0
    written = yaml.safe_load((project.scenarios / "web.yaml").read_text())
    assert written["service"] == {"packages": ["a", "b"], "unit": "web.service"}


@pytest.mark.parametrize(
    "words",
    [
        ("--for-service", "web", "--from-container", "x"),
        ("--for-service", "web", "--from-compose", "x"),
        ("--package", "web"),
        ("--for-service", "sshd"),
    ],
)
def test_a_scenario_is_for_a_service_or_for_a_container(
    selab: Selab, project: Project, words: tuple[str, ...]
) -> None:
    assert selab("new", "scenario", "web", *words) == 2
    assert [*project.scenarios.iterdir()] == []
