"""What a scenario file may hold, and what its errors say."""

from __future__ import annotations

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scenario import Scenario, load_scenario


def write(project: Project, text: str, name: str = "web") -> None:
    (project.scenarios / f"{name}.yaml").write_text(text)


def refused(project: Project, text: str) -> InputError:
    write(project, text)
    with pytest.raises(InputError) as caught:
        load_scenario(project, "web")
    return caught.value


def test_the_least_scenario_names_an_image(project: Project) -> None:
    write(project, "image: httpd\n")
    scenario = load_scenario(project, "web")
    assert (scenario.name, scenario.image, scenario.policy, scenario.expect.denials) == ("web", "httpd", "none", "none")


def test_an_unknown_scenario_is_answered_with_the_nearest_name(project: Project) -> None:
    write(project, "image: httpd\n", "apache")
    with pytest.raises(InputError) as caught:
        load_scenario(project, "apahce")
    assert "Did you mean 'apache'?" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("image: httpd\nimagee: x\n", 2, "imagee: there is no such key"),
        ("description: x\n", 1, "image: is required"),
        ("image: httpd\nports:\n  - {guest: 80, container: 99999}\n", 3, "less than or equal to 65535"),
        ("image: httpd\nsteps:\n  - http: {port: 80}\n    exec: {argv: [a]}\n", 3, "exactly one of"),
        ("image: httpd\nsteps:\n  - log: {pattern: '['}\n", 3, "regular expression"),
        ("image: httpd\nlabel: {type: 'a b'}\n", 2, "pattern"),
        ("image: httpd\nlabel: {level: 's0:x'}\n", 2, "pattern"),
        ("image: --privileged\n", 1, "does not begin with '-'"),
        ('image: "a\\nb"\n', 1, "one line"),
    ],
)
def test_a_mistake_is_named_with_its_line(project: Project, text: str, line: int, word: str) -> None:
    error = refused(project, text)
    assert error.detail.endswith(f"web.yaml:{line}")
    assert word in error.what


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("image: [", "not valid YAML"),
        ("image: a\nimage: b\n", "twice"),
        ("a: &x 1\nimage: *x\n", "alias"),
        ("image: " + "[" * 30 + "]" * 30, "nested too deeply"),
        ("image: " + "[" * 3000 + "]" * 3000, "not valid YAML"),
        ("image: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("image: \x01\n", "not valid YAML"),
        ("#" * 300_000, "too large"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(project: Project, text: str, word: str) -> None:
    assert word in refused(project, text).what


def test_a_file_that_is_not_text_is_refused(project: Project) -> None:
    (project.scenarios / "web.yaml").write_bytes(b"image: \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        load_scenario(project, "web")


def test_yes_and_no_are_words(project: Project) -> None:
    write(project, "image: httpd\nenvironment: {DEBUG: no, LEVEL: yes}\n")
    assert load_scenario(project, "web").environment == {"DEBUG": "no", "LEVEL": "yes"}


def test_a_volume_outside_of_the_project_is_refused(project: Project) -> None:
    assert "outside" in refused(project, "image: httpd\nvolumes:\n  - {source: ../.., target: /data}\n").what


def test_a_link_does_not_lead_a_volume_out_of_the_project(project: Project) -> None:
    (project.root / "data").symlink_to("/etc")
    assert "outside" in refused(project, "image: httpd\nvolumes:\n  - {source: data, target: /data}\n").what


@pytest.mark.parametrize("target", ["/../etc", "/data/../../x", "/", "//"])
def test_a_volumes_target_does_not_lead_elsewhere(project: Project, target: str) -> None:
    write(project, f"image: httpd\nvolumes:\n  - {{target: {target}}}\n")
    with pytest.raises(InputError, match="web.yaml"):
        load_scenario(project, "web")


def test_a_volumes_target_is_said_in_one_way(project: Project) -> None:
    write(project, "image: httpd\nvolumes:\n  - {target: //data/./x/}\n")
    assert load_scenario(project, "web").volumes[0].target == "/data/x"


def test_a_scenario_can_be_written_down_and_read_again(project: Project) -> None:
    write(
        project,
        "image: httpd\nsteps:\n  - http: {port: 80, wait: true}\nexpect:\n  denials:\n    - {class: file, as: expect, reason: why not}\n",
    )
    scenario = load_scenario(project, "web")
    assert Scenario.model_validate(scenario.as_written()).as_written() == scenario.as_written()
