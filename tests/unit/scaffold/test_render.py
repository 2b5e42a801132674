"""The YAML of a new scenario: it is in the order of people, in ASCII, and has the values of the builders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from selab.host.yamlfile import parse
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario.model import Scenario


def text_of(data: dict[str, Any], *left: str, missing: str = "", description: str = "") -> str:
    scenario = ScenarioBuilder()
    if description:
        scenario.describe(description)
    builder = scenario.container("web")
    builder.data = {"policy": "web", "image": "web"} | data
    builder.left = list(left)
    return scenario_text(scenario, {"web": missing} if missing else {})


@pytest.mark.parametrize(
    "data",
    [
        {"command": ["sh", "-c", "echo 'a: b' # c"]},
        {"environment": {"A": "yes", "B": "1", "C": "é\n\x07", "D": ""}},
        {"ports": [{"guest": 8443, "container": 443}], "read_only": True},
        {"user": "# no comment: \u2028 text"},
    ],
)
def test_the_values_are_read_back_as_they_were(data: dict[str, Any]) -> None:
    text = text_of(data)
    assert text.isascii()
    assert {key: yaml.safe_load(text)[key] for key in data} == data


def test_the_keys_are_in_the_order_in_which_people_read_them() -> None:
    text = text_of({"user": "app", "ports": [{"guest": 1, "container": 1}]}, description="x")
    assert list(yaml.safe_load(text)) == [
        "description",
        "policy",
        "image",
        "ports",
        "user",
        "steps",
        "expect",
    ]


def test_what_was_left_out_is_a_comment_that_cannot_end() -> None:
    text = text_of({}, "volume /x: no\nimage: evil", "é")
    assert yaml.safe_load(text)["image"] == "web"
    assert text.startswith("# Left out or changed:\n#   volume /x: no")
    assert "#   \\xe9\n" in text


@pytest.mark.parametrize("missing", ["web", ""])
def test_a_missing_policy_is_explained(missing: str) -> None:
    text = text_of({"policy": "none"}, missing=missing)
    assert ("`selab new policy web`" in text) is bool(missing)


def step_of(*containers: int) -> dict[str, Any]:
    """The step of a scenario that publishes these ports, the port N at 20000 + N in the guest."""
    ports = [{"guest": 20000 + container, "container": container} for container in containers]
    text = text_of({"ports": ports} if ports else {})
    (step,) = parse(text, Path("web.yaml"), Scenario).as_written()["steps"]
    return step  # type: ignore[no-any-return]


@pytest.mark.parametrize("ports", [(80,), (443, 80), (22, 8080, 80), (80, 80)])
def test_any_answer_at_a_web_port_shows_that_a_container_works(ports: tuple[int, ...]) -> None:
    """It may redirect, or ask for a password."""
    port = 20080 if 80 in ports else 28080
    assert step_of(*ports) == {"http": {"port": port, "status": "any", "wait": True}}


@pytest.mark.parametrize(
    ("ports", "reached"),
    [((5432,), 5432), ((443,), 443), ((4369, 5671, 5672), 4369), ((5671, 443, 5672), 5672)],
)
def test_at_other_ports_a_connection_shows_that_a_container_works(
    ports: tuple[int, ...], reached: int
) -> None:
    """At a port for TLS most images do not listen before they are configured."""
    assert step_of(*ports) == {"tcp": {"port": 20000 + reached, "wait": True}}


def test_a_container_without_ports_works_if_it_keeps_running() -> None:
    assert step_of() == {"up": {}}


def test_a_comment_shows_the_request_that_a_connection_could_be() -> None:
    text = text_of({"ports": [{"guest": 19000, "container": 9000}]})
    assert "`http: {port: 19000, status: any, wait: true}`" in text
    line = next(line for line in text.splitlines() if "http:" in line)
    assert line.startswith("  # ")


def test_a_new_scenario_expects_no_denial() -> None:
    assert yaml.safe_load(text_of({}))["expect"] == {"denials": "none"}
