"""What several containers of a scenario may say about each other, and in which order they start."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from selab.scenario.consistency import container_of, start_order, titles_that_may_end
from selab.scenario.model import Scenario
from tests.unit.workloads import scenario


def several(steps: list[dict[str, Any]] | None = None, **containers: dict[str, Any]) -> Scenario:
    """A scenario whose containers all have the image x, apart from services."""
    members = {
        name: fields if "service" in fields else {"image": "x", **fields}
        for name, fields in containers.items()
    }
    return scenario(containers=members, steps=steps or [])


@pytest.mark.parametrize(
    ("containers", "order"),
    [
        ({"web": {}, "db": {}}, ["web", "db"]),
        ({"web": {"after": {"db": "healthy"}}, "db": {}}, ["db", "web"]),
        ({"web": {}, "db": {}, "setup": {"init": True}}, ["setup", "web", "db"]),
        ({"two": {"init": True}, "web": {}, "one": {"init": True}}, ["two", "one", "web"]),
        ({"web": {"network": "container:db"}, "db": {}}, ["db", "web"]),
        ({"web": {"pid": "container:db"}, "db": {}}, ["db", "web"]),
        ({"a": {}, "b": {"ipc": "pod"}, "c": {"ipc": "pod", "after": {"a": "started"}}}, ["a", "b", "c"]),
    ],
)
def test_containers_start_after_what_they_wait_for_and_join(
    containers: dict[str, Any], order: list[str]
) -> None:
    assert start_order(several(**containers).members) == order


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ({"a": {"after": {"b": "started"}}, "b": {"after": {"a": "started"}}}, "wait for each other"),
        ({"a": {"after": {"c": "started"}}}, "there is no container 'c'"),
        ({"a": {"after": {"a": "started"}}}, "cannot wait for itself"),
        ({"a": {"network": "container:b"}, "b": {"init": True}}, "ends before 'a' starts"),
        ({"a": {"network": "container:b"}, "b": {"network": "container:c"}, "c": {}}, "itself joins another"),
        ({"a": {"pid": "none"}, "b": {}}, "`none` is a network"),
        ({"a": {"ports": [{"guest": 80, "container": 80}], "network": "host"}}, "publishes no ports"),
        (
            {name: {"ports": [{"guest": 80, "container": 80}]} for name in ("a", "b")},
            "'a' and 'b' publish the guest's port 80",
        ),
        ({"a": {"volumes": [{"target": "/x", "name": "data"}]}}, "`named_volumes` has no volume 'data'"),
        ({"a": {"volumes": [{"target": "/x", "name": "d", "label": "keep"}]}}, "`named_volumes` says"),
        ({"a": {"image": None}}, "`image` or `service` is required"),
    ],
)
def test_a_contradiction_is_refused(containers: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        several(**containers)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"named_volumes": {"d": {}}}, "no container mounts the named volume 'd'"),
        ({"containers": {"a": {"image": "x"}}, "policy": "web"}, "`policy` belongs below the name"),
        ({"network": "pod"}, "a single container shares nothing"),
        ({"network": "container:db"}, "there is no container 'db'"),
        ({"steps": [{"container": "db", "exit": {}}]}, "there is no container 'db'"),
    ],
)
def test_what_only_one_of_both_forms_has_is_refused_in_the_other(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        scenario(**fields)


@pytest.mark.parametrize(
    ("volume", "level", "second", "words"),
    [
        ({"label": "private"}, "container", "/x", "with different levels"),
        ({"label": "contexts"}, "container", "/y", "has several targets"),
        ({"label": "private"}, "scenario", "/x", ""),
        ({"label": "private"}, "s0:c1,c2", "/x", ""),
        ({"label": "contexts"}, "container", "/x", ""),
        ({}, "container", "/y", ""),
    ],
)
def test_the_label_of_a_named_volume_must_suit_all_that_mount_it(
    volume: dict[str, str], level: str, second: str, words: str
) -> None:
    def written() -> Scenario:
        containers = {
            name: {"image": "x", "volumes": [{"target": target, "name": "d"}]}
            for name, target in (("a", "/x"), ("b", second))
        }
        return scenario(containers=containers, named_volumes={"d": volume}, level=level)

    if words:
        with pytest.raises(ValidationError, match=words):
            written()
    else:
        assert written().level == level


def test_a_step_is_about_the_container_that_it_names_or_that_publishes_its_port() -> None:
    steps = [
        {"http": {"port": 80}},
        {"container": "db", "http": {"port": 80}},
        {"container": "web", "exec": {"argv": ["a"]}},
    ]
    of = several(steps, db={}, web={"ports": [{"guest": 80, "container": 8080}]})
    assert [container_of(step, of.members) for step in of.steps] == ["web", "db", "web"]


def test_a_step_whose_container_is_open_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not name its `container`"):
        several([{"exec": {"argv": ["a"]}}], db={}, web={})


def test_only_a_container_whose_end_is_awaited_may_end() -> None:
    of = several(
        [{"container": "job", "exit": {}}],
        setup={"init": True},
        job={},
        copy={},
        web={"after": {"copy": "exited"}},
    )
    assert titles_that_may_end(of.members, of.steps) == {"setup", "job", "copy"}


def test_a_single_container_may_end() -> None:
    assert titles_that_may_end(scenario().members, ()) == {""}


UNIT = {"service": {"unit": "web"}}


@pytest.mark.parametrize(
    ("service", "steps", "titles"),
    [
        ({"command": ["/bin/true"]}, [], {""}),
        ({"unit": "web"}, [], set()),
        ({"unit": "web"}, [{"exit": {}}], {""}),
    ],
)
def test_a_single_unit_may_end_only_if_a_step_waits_for_that(
    service: dict[str, Any], steps: list[dict[str, Any]], titles: set[str]
) -> None:
    of = Scenario.model_validate({"service": service, "steps": steps})
    assert titles_that_may_end(of.members, of.steps) == titles


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"after": {"unit": "healthy"}}, "has no health check"),
        ({"network": "container:unit"}, "which is a service of the guest"),
        (UNIT, "'unit' and 'web' are the same unit web.service"),
    ],
)
def test_what_a_service_beside_a_container_cannot_be_is_refused(web: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        several(unit=UNIT, web=web)


def test_a_container_starts_after_the_service_that_it_waits_for() -> None:
    of = several(web={"after": {"unit": "started"}}, unit=UNIT)
    assert start_order(of.members) == ["unit", "web"]


def test_a_step_in_a_service_is_refused() -> None:
    with pytest.raises(ValidationError, match="use `guest`"):
        several([{"container": "unit", "exec": {"argv": ["a"]}}], unit=UNIT, web={})
