"""What a scenario may contain, and what its errors say."""

from __future__ import annotations

import json

import pytest

from selab.project import Project
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario
from tests.unit.scenario.written import refused, write


def test_the_least_scenario_names_an_image(project: Project) -> None:
    write(project, "image: httpd\n")
    scenario = load_scenario(project, "web")
    assert (scenario.name, scenario.image, scenario.policy, scenario.expect.denials) == (
        "web",
        "httpd",
        "none",
        "none",
    )


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("image: httpd\nimagee: x\n", 2, "imagee: there is no such key"),
        ("description: x\n", 1, "`image` is required, or `service`, or `containers`"),
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
        (
            "steps: [{http: {port: 80, status: 99}}]",
            "steps.0.http.status: must be a status from 100 to 599, or `any`",
        ),
        (
            "steps: [{http: {port: 80, status: all}}]",
            "steps.0.http.status: must be a status from 100 to 599, or `any`",
        ),
        (
            "steps: [{}]",
            "steps.0: a step must have exactly one of http, tcp, exec, guest, log, exit, up, copy",
        ),
    ],
)
def test_a_value_that_is_refused_says_what_it_must_be(project: Project, text: str, problem: str) -> None:
    error = refused(project, f"image: httpd\n{text}\n")
    assert (error.what, error.detail[-2:]) == (f"web.yaml is not valid: {problem}.", ":2")


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
