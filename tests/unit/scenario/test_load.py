"""How scenarios are found and loaded."""

from __future__ import annotations

import os

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scenario.load import load_scenario, scenario_names
from tests.unit.scenario.written import refused, write


def test_an_unknown_scenario_is_answered_with_the_nearest_name(project: Project) -> None:
    write(project, "image: httpd\n", "apache")
    with pytest.raises(InputError) as caught:
        load_scenario(project, "apahce")
    assert "Did you mean 'apache'?" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("image: [", 1, "not valid YAML"),
        ("image: a\nimage: b\n", 2, "twice"),
        ("image: a\n? [b]\n: c\n", 2, "not text"),
        ("a: &x 1\nimage: *x\n", 2, "alias"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", 2, "alias"),
        ("image: x\ncommand:\n  " + "[" * 30 + "]" * 30, 3, "nested too deeply"),
        ("image: " + "[" * 3000 + "]" * 3000, 1, "nested too deeply"),
        ("image: x\n" + "- " * 3000, 2, "not valid YAML"),
        ("image: !!python/object/apply:os.system [id]\n", 1, "tag"),
        ("image: x\nread_only: !!bool maybe\n", 2, "tag"),
        ("image: x\ndescription: \x01\n", 2, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused_with_its_line(
    project: Project, text: str, line: int, word: str
) -> None:
    error = refused(project, text)
    assert word in error.what
    assert f"web.yaml:{line}" in error.detail


def test_a_file_that_is_too_large_is_refused(project: Project) -> None:
    assert "too large" in refused(project, "#" * 300_000).what


def test_what_is_no_file_is_not_opened(project: Project) -> None:
    os.mkfifo(project.scenarios / "web.yaml")
    with pytest.raises(InputError, match="is not a file"):
        load_scenario(project, "web")


@pytest.mark.parametrize("text", ["80:80", "1:59:59.5", "0x10", "1e9", "2026-11-24", "1_000", ".inf", "<<"])
def test_what_only_yaml_1_1_takes_for_a_number_is_a_word(project: Project, text: str) -> None:
    write(project, f"image: x\ncommand: [{text}]\n")
    assert load_scenario(project, "web").command == (text,)


def test_a_file_that_is_not_text_is_refused(project: Project) -> None:
    (project.scenarios / "web.yaml").write_bytes(b"image: x\ndescription: \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8") as caught:
        load_scenario(project, "web")
    assert caught.value.detail.endswith("web.yaml:2")


def test_yes_and_no_are_words(project: Project) -> None:
    write(project, "image: httpd\nenvironment: {DEBUG: no, LEVEL: yes}\n")
    assert load_scenario(project, "web").environment == {"DEBUG": "no", "LEVEL": "yes"}


def test_a_volume_outside_of_the_project_is_refused(project: Project) -> None:
    assert "outside" in refused(project, "image: httpd\nvolumes:\n  - {source: ../.., target: /data}\n").what


@pytest.mark.parametrize(
    "first", ["{target: /a}", "{guest_path: /srv, target: /a}", "{source: here, target: /a}"]
)
def test_each_volume_of_several_must_be_in_the_project(project: Project, first: str) -> None:
    (project.root / "here").mkdir()
    text = f"image: httpd\nvolumes:\n  - {first}\n  - {{source: ../.., target: /data}}\n"
    assert "outside" in refused(project, text).what


@pytest.mark.parametrize("source", ["data", "data/ssh", "/etc", "a/../../..", "loop"])
def test_nothing_leads_a_volume_out_of_the_project(project: Project, source: str) -> None:
    (project.root / "data").symlink_to("/etc")
    (project.root / "a").mkdir()
    (project.root / "loop").symlink_to("loop")
    assert (
        "the volume"
        in refused(project, f"image: httpd\nvolumes:\n  - {{source: {source}, target: /data}}\n").what
    )


def test_a_link_within_the_project_is_followed(project: Project) -> None:
    (project.root / "data").mkdir()
    (project.root / "here").symlink_to("data")
    write(project, "image: httpd\nvolumes:\n  - {source: here, target: /data}\n")
    assert load_scenario(project, "web").volumes[0].source == "here"


def test_a_scenario_is_not_read_from_outside_of_the_project(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "web.yaml"
    elsewhere.write_text("image: httpd\n")
    (project.scenarios / "web.yaml").symlink_to(elsewhere)
    with pytest.raises(InputError, match="outside"):
        load_scenario(project, "web")


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_both_endings_of_yaml_are_read(project: Project, ending: str) -> None:
    (project.scenarios / f"web.{ending}").write_text("image: httpd\n")
    (project.scenarios / "other.yaaml").write_text("")
    assert (load_scenario(project, "web").name, scenario_names(project)) == ("web", ["web"])


def test_two_files_of_one_scenario_are_refused(project: Project) -> None:
    """Which of them the directory lists first is not what the user can know."""
    for ending in ("yaml", "yml"):
        (project.scenarios / f"web.{ending}").write_text("image: httpd\n")
    with pytest.raises(InputError, match="more than one file") as caught:
        load_scenario(project, "web")
    assert "web.yaml" in caught.value.detail and "web.yml" in caught.value.detail
    assert caught.value.hint == "Remove or rename all but one."
    assert scenario_names(project) == ["web"]


@pytest.mark.parametrize("name", ["a b", "-x", "x" * 65, "ä"])
def test_a_file_whose_name_is_no_name_is_refused(project: Project, name: str) -> None:
    write(project, "image: httpd\n", name)
    with pytest.raises(InputError, match="cannot be a scenario's name") as caught:
        load_scenario(project, name)
    assert caught.value.detail == str(project.scenarios / f"{name}.yaml")
    assert caught.value.hint == "Use letters, digits, '_', '.' and '-'."


def test_an_unknown_scenario_can_be_created_with_the_command_of_the_hint(project: Project) -> None:
    with pytest.raises(InputError, match="'web'") as caught:
        load_scenario(project, "web")
    assert str(project.scenarios) in caught.value.detail
    assert caught.value.hint == "To create it, run `selab new scenario web`."


@pytest.mark.parametrize("exists", [False, True])
def test_a_volume_that_is_not_a_directory_is_refused(project: Project, exists: bool) -> None:
    if exists:
        (project.root / "data").write_text("")
    error = refused(project, "image: httpd\nvolumes:\n  - {source: data, target: /data}\n")
    assert "'data' is not a directory" in error.what
    assert str(project.root / "data") in error.detail and error.hint.startswith("Create it, or omit `source`")


def copying(source: str) -> str:
    return f"image: x\nsteps:\n  - up: {{}}\n  - copy: {{source: {source}, target: /srv/x}}\n"


@pytest.mark.parametrize("source", ["data", "data/passwd", "/etc/passwd", "a/../../..", "loop", "../x"])
def test_nothing_leads_a_copy_out_of_the_project(project: Project, source: str) -> None:
    (project.root / "data").symlink_to("/etc")
    (project.root / "a").mkdir()
    (project.root / "loop").symlink_to("loop")
    assert f"web.yaml: the copy of '{source}'" in refused(project, copying(source)).what


@pytest.mark.parametrize("source", ["directory", "file", "link"])
def test_files_and_directories_of_the_project_can_be_copied(project: Project, source: str) -> None:
    (project.root / "directory").mkdir()
    (project.root / "file").write_text("")
    (project.root / "link").symlink_to("file")
    write(project, copying(source))
    copy = load_scenario(project, "web").steps[1].copy_
    assert copy is not None and copy.source == source


@pytest.mark.parametrize("special", [False, True])
def test_what_is_no_file_and_no_directory_cannot_be_copied(project: Project, special: bool) -> None:
    if special:
        os.mkfifo(project.root / "pipe")
    error = refused(project, copying("pipe"))
    assert error.what == "There is no file or directory 'pipe' to copy."
    assert str(project.root / "pipe") in error.detail and "below the project" in error.hint
