"""A scenario has containers with names of their own, and ports of the guest that no other one has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from selab.scaffold.scenario_builder import ScenarioBuilder, free_name
from selab.scenario.fields import Name, Reference


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", "web"),
        ("my web", "my-web"),
        ("_db.1", "db.1"),
        ("a..b", "a.b"),
        ("é", "unnamed"),
        ("x" * 40, "x" * 32),
        ("", "unnamed"),
    ],
)
def test_a_name_is_like_that_of_the_source(text: str, name: str) -> None:
    assert free_name(text, ()) == name


@given(st.text(max_size=50), st.booleans())
def test_whatever_the_source_says_the_name_is_one_and_is_free(text: str, is_taken: bool) -> None:
    taken = {free_name(text, ())} if is_taken else set()
    name = free_name(text, taken)
    TypeAdapter(Name).validate_python(name)
    TypeAdapter(Reference).validate_python(name)
    assert name not in taken


def test_containers_have_different_names() -> None:
    scenario = ScenarioBuilder()
    for name in ("a b", "a-b", "a/b"):
        scenario.container(name)
    assert list(scenario.containers) == ["a-b", "a-b-2", "a-b-3"]


def test_no_port_of_the_guest_is_published_twice() -> None:
    scenario = ScenarioBuilder()
    builders = [scenario.container(name) for name in ("web", "db")]
    for builder in builders:
        builder.port(80, None)
    assert [builder.data["ports"][0]["guest"] for builder in builders] == [8080, 8000]


def test_a_remark_names_its_container_if_there_are_several() -> None:
    scenario = ScenarioBuilder()
    scenario.leave("x", "of all")
    scenario.container("one").leave("y", "of one")
    assert scenario.remarks == ("x: of all", "y: of one")
    scenario.container("two")
    assert scenario.remarks == ("x: of all", "one: y: of one")


def test_a_description_that_cannot_be_is_named() -> None:
    scenario = ScenarioBuilder()
    scenario.describe("\0")
    assert (scenario.data, len(scenario.left)) == ({}, 1)
