"""The services of a Compose file become the containers of a scenario, which loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selab.errors import InputError
from selab.host.yamlfile import parse
from selab.project import Project
from selab.scaffold.compose.application import from_compose
from selab.scaffold.compose.file import Service
from selab.scaffold.compose.relations import relate
from selab.scaffold.compose.service import add_service
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario import Source, new_scenario
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario

SHOP = """
services:
  db:
    image: redis:7
    volumes: [data:/data]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 10s, timeout: 5s, retries: 10}
  migrate:
    image: shop:1
    command: [migrate]
    depends_on: {db: {condition: service_healthy}}
  web:
    image: shop:1
    ports: ["8080:80"]
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
  metrics:
    image: metrics:1
    network_mode: service:web
  debug:
    image: debug:1
    profiles: [debug]
volumes:
  data:
"""


def imported(project: Project, text: str, *services: str, profiles: tuple[str, ...] = ()) -> ScenarioBuilder:
    file = project.root / "compose.yaml"
    file.write_text(text)
    return from_compose(project, file, services, profiles)


def related(project: Project, **services: dict[str, Any]) -> ScenarioBuilder:
    """Return the scenario of services that have an image and these settings."""
    scenario = ScenarioBuilder()
    every = [Service(name, {"image": "x:1", **fields}, project.root) for name, fields in services.items()]
    for service in every:
        add_service(
            scenario.container(service.name),
            project,
            service.settings,
            project.root,
            elsewhere=("depends_on", "healthcheck", "links", "networks"),
        )
    relate(scenario, every)
    return scenario


def test_an_application_becomes_a_scenario_that_loads(project: Project) -> None:
    file = project.root / "compose.yaml"
    file.write_text(SHOP)
    scenario_file = new_scenario(project, "shop", None, Source(compose=file))
    written = load_scenario(project, "shop").as_written()
    written.pop("steps")
    assert written == {
        "description": "The services db, migrate, web, metrics of compose.yaml.",
        "containers": {
            "db": {
                "image": "redis:7",
                "health": {"command": ["redis-cli", "ping"], "timeout": 150.0},
                "volumes": [{"name": "data", "target": "/data"}],
            },
            "migrate": {"image": "shop:1", "command": ["migrate"], "after": {"db": "healthy"}},
            "web": {
                "image": "shop:1",
                "ports": [{"guest": 8080, "container": 80}],
                "after": {"db": "healthy", "migrate": "exited"},
            },
            "metrics": {"image": "metrics:1", "network": "container:web"},
        },
        "named_volumes": {"data": {}},
    }
    assert scenario_file.left == (
        'service "debug": choose it with --profile debug',
        'db: volume "data": "/data" is empty in the scenario: its content is not copied',
    )


def test_a_step_names_its_container_and_there_is_none_for_one_that_has_ended(project: Project) -> None:
    file = project.root / "compose.yaml"
    file.write_text(SHOP)
    new_scenario(project, "shop", None, Source(compose=file))
    steps = [step["container"] for step in load_scenario(project, "shop").as_written()["steps"]]
    assert steps == ["db", "web", "metrics"]


@pytest.mark.parametrize(("policy", "expected"), [(None, "shop_db"), ("none", "none")])
def test_each_container_has_a_policy_of_its_own(policy: str | None, expected: str, project: Project) -> None:
    (project.policies / "shop_db.te").write_text("")
    file = project.root / "compose.yaml"
    file.write_text(SHOP)
    policies = new_scenario(project, "shop", policy, Source(compose=file)).policies
    assert policies == {"db": expected, "migrate": "none", "web": "none", "metrics": "none"}
    text = (project.scenarios / "shop.yaml").read_text()
    assert ("`selab new policy shop_web`" in text) is (policy is None)


def test_no_policy_is_that_of_several_containers(project: Project) -> None:
    (project.policies / "shop.te").write_text("")
    file = project.root / "compose.yaml"
    file.write_text(SHOP)
    with pytest.raises(InputError, match="4 containers"):
        new_scenario(project, "shop", "shop", Source(compose=file))
    assert not (project.scenarios / "shop.yaml").exists()


def test_an_image_without_a_name_is_that_of_the_container(project: Project) -> None:
    file = project.root / "compose.yaml"
    file.write_text("services: {web: {build: .}, db: {image: 'redis:7'}}")
    left = new_scenario(project, "shop", None, Source(compose=file)).left
    assert load_scenario(project, "shop").containers["web"].image == "web"
    assert any("create images/web" in line for line in left)


def test_a_single_service_is_written_without_its_name(project: Project) -> None:
    scenario = imported(project, SHOP, "db")
    assert "health" not in scenario.only.data
    assert scenario.as_data()["volumes"] == [{"target": "/data"}]
    assert any(line.startswith("healthcheck.test:") for line in scenario.remarks)


def test_several_services_can_be_chosen(project: Project) -> None:
    scenario = imported(project, SHOP, "web", "db")
    assert list(scenario.containers) == ["db", "web"]
    assert "web: depends_on.migrate: it is not a service of the scenario" in scenario.remarks


@pytest.mark.parametrize(
    ("depends_on", "after"),
    [
        (["db"], {"db": "started"}),
        ({"db": {"condition": "service_started"}}, {"db": "started"}),
        ({"db": None}, {"db": "started"}),
        ({"db": {"condition": "service_completed_successfully"}}, {"db": "exited"}),
    ],
)
def test_the_order_of_services(depends_on: Any, after: dict[str, str], project: Project) -> None:
    scenario = related(project, web={"depends_on": depends_on}, db={})
    assert (scenario.containers["web"].data["after"], scenario.remarks) == (after, ())


@pytest.mark.parametrize("links", [["db"], ["db:db"]])
def test_a_linked_service_starts_first(links: list[str], project: Project) -> None:
    scenario = related(project, web={"links": links}, db={})
    assert (scenario.containers["web"].data["after"], scenario.remarks) == ({"db": "started"}, ())


@pytest.mark.parametrize(
    ("service", "beginning"),
    [
        ({"depends_on": ["web"]}, "depends_on.web: "),
        ({"depends_on": ["no"]}, "depends_on.no: "),
        ({"depends_on": {"db": {"condition": "odd"}}}, "depends_on.db: "),
        ({"depends_on": {"db": {"teleport": 1}}}, 'the key "depends_on.db.teleport": '),
        ({"links": ["db:data"]}, 'links "db:data": '),
        ({"network_mode": "service:no"}, 'network_mode "service:no": '),
        ({"networks": {"default": {"aliases": ["www", "web"]}}}, "networks.default.aliases: "),
        ({"networks": {"default": {"ipv4_address": "10.0.0.1"}}}, "networks.default.ipv4_address: "),
        ({"healthcheck": {"disable": True}}, "healthcheck: "),
        ({"healthcheck": {"test": ["CMD"]}}, "healthcheck.test: "),
    ],
)
def test_what_cannot_be_is_named_with_its_service(
    service: dict[str, Any], beginning: str, project: Project
) -> None:
    (line,) = related(project, web=service, db={}).remarks
    assert line.startswith(f"web: {beginning}")


def test_services_that_wait_for_each_other_are_named(project: Project) -> None:
    scenario = related(project, web={"depends_on": ["db"]}, db={"depends_on": ["web"]})
    (line,) = scenario.remarks
    assert line.startswith("db: depends_on.web: the containers wait for each other")


def test_a_service_after_whose_end_all_others_start_is_an_init_container(project: Project) -> None:
    ended = {"setup": {"condition": "service_completed_successfully"}}
    scenario = related(project, setup={}, web={"depends_on": ended}, mail={"depends_on": ["web"]})
    assert [name for name, builder in scenario.containers.items() if "init" in builder.data] == ["setup"]
    scenario = related(project, setup={}, web={"depends_on": ended}, mail={})
    assert scenario.containers["setup"].data == {"image": "x:1"}


def test_without_a_health_check_the_start_is_waited_for(project: Project) -> None:
    scenario = related(
        project,
        db={"healthcheck": {"test": ["CMD", "check", "--password=x"]}},
        web={"depends_on": {"db": {"condition": "service_healthy"}}},
    )
    assert scenario.containers["web"].data["after"] == {"db": "started"}
    assert [line.rpartition(": ")[0] for line in scenario.remarks] == [
        "db: healthcheck.test",
        "web: depends_on.db.condition",
    ]


@pytest.mark.parametrize("kind", ["network_mode", "pid", "ipc"])
def test_a_namespace_of_another_service_is_joined(kind: str, project: Project) -> None:
    file = project.root / "compose.yaml"
    file.write_text(f"services: {{web: {{image: 'x:1', {kind}: 'service:db'}}, db: {{image: 'x:1'}}}}")
    scenario = from_compose(project, file)
    key = "network" if kind == "network_mode" else kind
    assert (scenario.containers["web"].data[key], scenario.remarks) == ("container:db", ())


def test_networks_that_keep_services_apart_are_named(project: Project) -> None:
    scenario = related(
        project,
        web={"networks": ["front", "back"]},
        proxy={"networks": ["front"]},
        db={"networks": {"back": None}},
    )
    assert scenario.remarks == (
        'proxy: networks "front": the scenario has one network, in which it also reaches db',
        'db: networks "back": the scenario has one network, in which it also reaches proxy',
    )


def test_a_second_name_is_named_if_another_service_uses_it(project: Project) -> None:
    scenario = related(project, db={"container_name": "shop_db"}, web={"environment": {"DB": "shop_db:5432"}})
    (line,) = scenario.remarks
    assert line.startswith('db: container_name "shop_db": ')
    assert related(project, db={"container_name": "shop_db"}, web={}).remarks == ()


@pytest.mark.parametrize(
    ("volumes", "named"),
    [
        ((["./html:/a"], ["./html/:/b"]), {"html": {"source": "html"}}),
        ((["./html:/a:z"], ["./html:/b:z"]), {"html": {"source": "html", "label": "shared"}}),
        ((["data:/a:z"], []), {"data": {"label": "shared"}}),
        ((["data:/a:Z"], []), {"data": {"label": "private"}}),
        ((["data:/a:Z"], ["data:/a:Z"]), {"data": {"label": "shared"}}),
        ((["/srv/data:/a"], ["/srv/data:/b"]), {"data": {}}),
        ((["/srv/data:/a"], ["/opt/data:/b"]), None),
        ((["./html:/a"], ["/b"]), None),
    ],
)
def test_what_several_services_mount_is_one_volume(
    volumes: tuple[list[str], list[str]], named: Any, project: Project
) -> None:
    (project.root / "html").mkdir()
    scenario = related(project, web={"volumes": volumes[0]}, db={"volumes": volumes[1]})
    assert scenario.data.get("named_volumes") == named
    Scenario.model_validate(scenario.as_data())


def test_a_name_that_a_container_cannot_have_is_changed_and_named(project: Project) -> None:
    scenario = related(project, **{"_db": {}, "web": {"depends_on": ["_db"]}})
    assert scenario.containers["web"].data["after"] == {"db": "started"}
    assert scenario.remarks == ('db: the name "_db": in the scenario it is db',)


WORDS = st.sampled_from(
    ["web", "db", "service:db", "service:web", "host", "none", "", "a" * 40, "x y", "1s", "CMD"]
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)
KEYS = [
    "depends_on",
    "healthcheck",
    "links",
    "networks",
    "network_mode",
    "pid",
    "ipc",
    "volumes",
    "ports",
    "command",
]
HEALTH = st.dictionaries(st.sampled_from(["test", "interval", "retries", "disable"]), JSON, max_size=4)
SERVICE = st.fixed_dictionaries(
    {}, optional={key: JSON for key in KEYS} | {"healthcheck": st.one_of(HEALTH, JSON)}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SERVICE, SERVICE, SERVICE)
def test_whatever_the_services_are_the_file_loads(
    project: Project, web: dict[str, Any], db: dict[str, Any], other: dict[str, Any]
) -> None:
    scenario = related(project, web=web, db=db, **{"a" * 40: other})
    for builder in scenario.containers.values():
        builder.set("policy", "none")
    parse(scenario_text(scenario, {}), Path("shop.yaml"), Scenario)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"depends_on": "db"}, "depends_on: it must be a list or an object"),
        ({"depends_on": {"db": "healthy"}}, "depends_on.db: it must be an object"),
        ({"links": "db"}, "links: it must be a list"),
        ({"networks": {"default": 5}}, "networks.default: it must be an object"),
        ({"healthcheck": "curl"}, "healthcheck: it must be an object"),
        ({"profiles": "debug"}, "profiles: it must be a list"),
        ({"read_only": "maybe"}, 'read_only "maybe": it must be true or false'),
    ],
)
def test_a_value_of_an_invalid_shape_is_named_with_its_service(
    settings: dict[str, Any], left: str, project: Project
) -> None:
    services = {"web": {"image": "x", **settings}, "db": {"image": "y"}}
    assert imported(project, json.dumps({"services": services})).remarks == (f"web: {left}",)


@pytest.mark.parametrize(
    ("section", "left"),
    [
        ("[data]", "volumes: in compose.yaml, it must be an object"),
        ("{data: x}", "volumes.data: it must be an object"),
    ],
)
def test_a_section_of_an_invalid_shape_is_named(section: str, left: str, project: Project) -> None:
    text = f"services: {{web: {{image: x, volumes: ['data:/data']}}}}\nvolumes: {section}"
    assert left in imported(project, text).remarks


def test_variables_that_are_no_list_replace_those_of_the_extended_service(project: Project) -> None:
    text = "services: {web: {image: x, extends: db, environment: C=d}, db: {image: y, environment: [A=b]}}"
    assert "web: environment: it must be a list or an object" in imported(project, text).remarks


def test_a_file_whose_name_is_too_long_is_named(project: Project) -> None:
    text = f"include: [{'a' * 5000}]\nservices: {{web: {{image: x}}}}"
    assert imported(project, text).remarks[-1].endswith(": File name too long")
