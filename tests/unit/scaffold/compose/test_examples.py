"""Each example of the Compose specification becomes a scenario, and what it loses is named."""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from selab.project import Project
from selab.scaffold.compose.application import from_compose
from selab.scaffold.container_builder import ContainerBuilder

EXAMPLES = tomllib.loads((Path(__file__).parent / "examples.toml").read_text())
CASES = [
    pytest.param(text, example.get("data", {}), example.get("left", []), id=f"{example['section']} {number}")
    for page in EXAMPLES.values()
    for example in page
    for number, text in enumerate(example["yaml"], 1)
]


def read(project: Project, text: str) -> ContainerBuilder:
    file = project.root / "compose.yaml"
    has_services = "services:" in text
    file.write_text(text if has_services else "services:\n  web:\n" + textwrap.indent(text, "    "))
    return from_compose(project, file, ["web"]).only


@pytest.mark.parametrize(("text", "data", "left"), CASES)
def test_an_example_of_the_specification(
    text: str, data: dict[str, Any], left: list[str], project: Project
) -> None:
    builder = read(project, text)
    beginnings = [next((begin for begin in left if line.startswith(begin)), line) for line in builder.left]
    assert (
        builder.data,
        sorted(set(beginnings)),
    ) == (
        data,
        sorted(left),
    )


def included(project: Project, include: str, **files: str) -> ContainerBuilder:
    for name, text in files.items():
        path = project.root / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return read(project, f"include: {include}\nservices: {{db: {{image: 'db:1'}}}}")


@pytest.mark.parametrize("include", ["[a/one.yaml]", "[{path: a/one.yaml}]", "[{path: [a/one.yaml]}]"])
def test_include(include: str, project: Project) -> None:
    (project.root / "a" / "html").mkdir(parents=True)
    builder = included(project, include, a__one="services: {web: {image: 'a:1', volumes: ['./html:/x']}}")
    assert builder.data["volumes"] == [{"target": "/x", "source": "a/html"}]


def test_include_with_a_project_directory(project: Project) -> None:
    (project.root / "b" / "html").mkdir(parents=True)
    builder = included(
        project,
        "[{path: a/one.yaml, project_directory: b, env_file: x.env}]",
        a__one="services: {web: {volumes: ['./html:/x']}}",
    )
    assert builder.data["volumes"] == [{"target": "/x", "source": "b/html"}]
    assert [line.partition(": ")[0] for line in builder.left] == ["include.env_file"]


def test_include_with_a_file_that_overrides_another_one(project: Project) -> None:
    (project.root / "a" / "html").mkdir(parents=True)
    builder = included(
        project,
        "[{path: [a/one.yaml, b/two.yaml]}]",
        a__one="services: {web: {image: 'a:1', command: [a], environment: {A: '1'}, cap_add: [CHOWN]}}",
        b__two="services: {web: {command: [b], environment: {B: 2}, cap_add: [KILL], volumes: [./html:/x]}}",
    )
    assert {key: value for key, value in builder.data.items() if key != "description"} == {
        "image": "a:1",
        "command": ["b"],
        "cap_add": ["CHOWN", "KILL"],
        "environment": {"A": "1", "B": "2"},
        "volumes": [{"target": "/x", "source": "a/html"}],
    }


def test_what_an_included_file_says_of_networks_counts(project: Project) -> None:
    included_file = "services: {web: {networks: [n]}}\nnetworks: {n: {internal: true}}"
    assert "networks.n.internal" in " ".join(included(project, "[a/one.yaml]", a__one=included_file).left)


@pytest.mark.parametrize(
    ("own", "data"),
    [
        ("ports: !reset []", {"environment": {"FOO": "bar"}}),
        (
            "ports: !override ['8443:443']",
            {"environment": {"FOO": "bar"}, "ports": [{"guest": 8443, "container": 443}]},
        ),
        ("{ports: !reset null, environment: {FOO: !reset null}}", {}),
        (
            "environment: !override {X: '1'}",
            {"environment": {"X": "1"}, "ports": [{"guest": 8080, "container": 80}]},
        ),
    ],
)
def test_values_are_reset_and_replaced(own: str, data: dict[str, Any], project: Project) -> None:
    base = "services: {web: {ports: ['8080:80'], environment: {FOO: bar}}}"
    builder = included(
        project,
        "[{path: [a/one.yaml, a/two.yaml]}]",
        a__one=base,
        a__two=f"services: {{web: {own if own[0] == '{' else '{' + own + '}'}}}",
    )
    assert {key: value for key, value in builder.data.items() if key != "description"} == data
