"""What a scenario file may hold, and what its errors say."""

from __future__ import annotations

import json
import os

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scenario import ExecStep, ExitStep, HttpStep, LogStep, Scenario, load_scenario, scenario_names


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
    assert (scenario.name, scenario.image, scenario.policy, scenario.expect.denials) == (
        "web",
        "httpd",
        "none",
        "none",
    )


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
        ("image: --privileged\n", 1, "an image's name"),
        ('image: "a\\nb"\n', 1, "an image's name"),
        ("image: ../../etc\n", 1, "an image's name"),
        ("image: x\nuser: --privileged\n", 2, "does not begin with '-'"),
        ('image: x\nuser: "a\\nb"\n', 2, "one line"),
        ('image: x\ncommand: ["a\\x9bb"]\n', 2, "control characters"),
        ('image: x\ncommand: ["\\ud800"]\n', 2, "control characters"),
        ('image: x\nenvironment: {A: "\\0"}\n', 2, "control characters"),
        ('image: x\nsteps:\n  - http: {port: 80, contains: "a\\nb"}\n', 3, "one line"),
    ],
)
def test_a_mistake_is_named_with_its_line(project: Project, text: str, line: int, word: str) -> None:
    error = refused(project, text)
    assert error.detail.endswith(f"web.yaml:{line}")
    assert word in error.what


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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("user: -x", "user: must be one line that does not begin with '-'"),
        ('volumes: [{target: "/x\\ny"}]', "volumes.0.target: must be one line"),
        ("volumes: [{target: /../etc}]", "volumes.0.target: must name a directory below /, without '..'"),
        (
            "volumes: [{target: /x, source: a, guest_path: /y}]",
            "volumes.0: a volume has either a source or a guest_path",
        ),
        (
            "volumes: [{target: /x, guest_path: /y, label: contexts}]",
            "volumes.0: the candidate's .fc labels a directory of the guest, by its path in the guest",
        ),
        ("steps: [{}]", "steps.0: a step must have exactly one of http, exec, guest, log, exit"),
    ],
)
def test_a_value_that_is_refused_says_what_it_must_be(project: Project, text: str, problem: str) -> None:
    error = refused(project, f"image: httpd\n{text}\n")
    assert (error.what, error.detail[-2:]) == (f"web.yaml is not valid: {problem}.", ":2")


@pytest.mark.parametrize("image", ["-x", "../x", "a/../b", "a b", "x" * 256])
def test_what_is_no_image_says_what_one_is(project: Project, image: str) -> None:
    must = "must be an image's name, or a reference such as registry/name:tag"
    assert refused(project, f"image: {image}\n").what == f"web.yaml is not valid: image: {must}."


@pytest.mark.parametrize("image", ["Httpd", "0", "reg.test:5000/A_b/c-D:1.2@sha256", "x" * 255])
def test_each_name_and_reference_of_an_image_is_accepted(project: Project, image: str) -> None:
    write(project, f'image: "{image}"\n')
    assert load_scenario(project, "web").image == image


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
        (
            "image: httpd\nsteps:\n  - http: {port: 80, wait: true}\nexpect:\n  denials:\n"
            "    - {class: file, as: expect, reason: why not}\n"
        ),
    )
    scenario = load_scenario(project, "web")
    written = scenario.as_written()
    assert json.loads(json.dumps(written)) == written
    assert written["steps"] == [{"http": {"port": 80, "wait": True}}]
    assert Scenario.model_validate(written).as_written() == written


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


@pytest.mark.parametrize(
    ("volume", "word"),
    [
        ("{target: /data, source: data, guest_path: /srv}", "either"),
        ("{target: /data, guest_path: /srv, label: contexts}", "in the guest"),
        ("{target: data}", "pattern"),
        ('{target: "/a:b"}', "pattern"),
        ("{target: /data, guest_path: srv}", "pattern"),
        ("{target: /data, source: -x}", "does not begin"),
    ],
)
def test_a_volume_that_contradicts_itself_is_refused(project: Project, volume: str, word: str) -> None:
    assert word in refused(project, f"image: httpd\nvolumes:\n  - {volume}\n").what


@pytest.mark.parametrize(
    "step",
    [
        "{name: nothing}",
        "{exec: {argv: []}}",
        "{exec: {argv: [a], exit: 256}}",
        "{exit: {code: -1}}",
        "{http: {port: 0}}",
        "{http: {port: 80, path: x}}",
        "{http: {port: 80, status: 99}}",
        "{http: {port: 80, timeout: 0}}",
        "{http: {port: 80, timeout: 3601}}",
    ],
)
def test_a_step_that_cannot_be_done_is_refused(project: Project, step: str) -> None:
    assert refused(project, f"image: httpd\nsteps:\n  - {step}\n").detail.endswith("web.yaml:3")


@pytest.mark.parametrize(
    ("step", "title", "kind"),
    [
        ("{http: {port: 80, path: /x}}", "get http :80/x", HttpStep),
        ("{http: {port: 80, wait: true}}", "wait for http :80/", HttpStep),
        ("{exec: {argv: [cat, /etc/shadow]}}", "exec cat /etc/shadow", ExecStep),
        ("{guest: {argv: [cat, /etc/shadow]}}", "guest cat /etc/shadow", ExecStep),
        ("{log: {pattern: ready}}", "log /ready/", LogStep),
        ("{exit: {code: 3}}", "exit 3", ExitStep),
        ("{name: the page, exit: {}}", "the page", ExitStep),
        (f"{{exec: {{argv: [{'a' * 99}]}}}}", f"exec {'a' * 55}", ExecStep),
    ],
)
def test_a_step_has_the_title_and_the_action_of_its_kind(
    project: Project, step: str, title: str, kind: type[object]
) -> None:
    write(project, f"image: httpd\nsteps: [{step}]\n")
    (only,) = load_scenario(project, "web").steps
    assert (only.title, type(only.action)) == (title, kind)


@pytest.mark.parametrize(
    "entry", ["{reason: no}", "{}", "{reason: why not, as: maybe}", "{reason: why, clas: x}"]
)
def test_an_entry_needs_a_reason_and_says_whether_the_denial_must_occur(project: Project, entry: str) -> None:
    refused(project, f"image: httpd\nexpect: {{denials: [{entry}]}}\n")
