"""The YAML of a new scenario: it is in the order of people, in ASCII, and has the values of the builder."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from selab.scaffold.render import scenario_text
from selab.scaffold.scenario_builder import ScenarioBuilder


def text_of(data: dict[str, Any], *left: str, requested: bool = False) -> str:
    builder = ScenarioBuilder()
    builder.data = {"policy": "web", "image": "web"} | data
    builder.left = list(left)
    return scenario_text("web", builder, requested=requested)


@pytest.mark.parametrize(
    "data",
    [
        {"command": ["sh", "-c", "echo 'a: b' # c"]},
        {"environment": {"A": "yes", "B": "1", "C": "é\n\x07", "D": ""}},
        {"ports": [{"guest": 8443, "container": 443}], "read_only": True},
        {"description": "# no comment: \u2028 text"},
    ],
)
def test_the_values_are_read_back_as_they_were(data: dict[str, Any]) -> None:
    text = text_of(data)
    assert text.isascii()
    assert {key: yaml.safe_load(text)[key] for key in data} == data


def test_the_keys_are_in_the_order_in_which_people_read_them() -> None:
    text = text_of({"user": "app", "ports": [{"guest": 1, "container": 1}], "description": "x"})
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


@pytest.mark.parametrize(
    ("policy", "requested", "explained"),
    [("none", False, True), ("none", True, False), ("web", False, False)],
)
def test_a_missing_policy_is_explained_unless_the_user_chose_none(
    policy: str, requested: bool, explained: bool
) -> None:
    text = text_of({"policy": policy}, requested=requested)
    assert ("`selab new policy web`" in text) is explained


@pytest.mark.parametrize(
    ("container", "step"),
    [
        (80, {"http": {"port": 9999, "wait": True, "timeout": 60}}),
        (22, {"log": {"pattern": "."}}),
    ],
)
def test_only_a_web_port_is_requested_at_its_port_in_the_guest(container: int, step: dict[str, Any]) -> None:
    text = text_of({"ports": [{"guest": 9999, "container": container}]})
    assert yaml.safe_load(text)["steps"] == [step]


def test_a_new_scenario_expects_no_denial() -> None:
    assert yaml.safe_load(text_of({}))["expect"] == {"denials": "none"}
