"""A new scenario loads, whatever it is made from, and never replaces an existing file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selab.__main__ import run
from selab.errors import InputError
from selab.host.yamlfile import parse
from selab.project import Project
from selab.scaffold.compose.service import _Service, add_service
from selab.scaffold.inspected.container import add_container
from selab.scaffold.inspected.output import Container
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario import NewScenario, Source, new_scenario
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scaffold.service import ServiceSource
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario


def made(
    project: Project, name: str = "web", policy: str | None = None, source: Source | None = None
) -> NewScenario:
    return new_scenario(project, name, policy, source or Source())


def text_of(project: Project, name: str = "web") -> str:
    return (project.scenarios / f"{name}.yaml").read_text()


def test_it_loads(project: Project) -> None:
    assert made(project).file == "scenarios/web.yaml"
    assert load_scenario(project, "web").as_written() == {
        "description": "What web does.",
        "image": "web",
        "steps": [{"up": {}}],
    }


def test_an_image_of_the_project_says_its_ports_and_volumes(imaged: Project) -> None:
    made(imaged, "httpd")
    scenario = load_scenario(imaged, "httpd")
    assert [(port.guest, port.container) for port in scenario.ports] == [(8080, 80), (8443, 443)]
    assert [volume.target for volume in scenario.volumes] == ["/srv/web.d", "/var/log"]


def test_a_web_port_is_waited_for(imaged: Project) -> None:
    made(imaged, "httpd")
    step = load_scenario(imaged, "httpd").steps[0].http
    assert step is not None
    assert (step.port, step.status, step.wait) == (8080, "any", True)


def test_the_policy_of_its_name_is_taken(project: Project) -> None:
    (project.policies / "web.te").write_text("")
    assert made(project).policies == {"web": "web"}
    assert load_scenario(project, "web").policy == "web"


@pytest.mark.parametrize("policy", ["my.web", "my_web"])
def test_a_policy_of_a_similar_name_is_taken(policy: str, project: Project) -> None:
    (project.policies / f"{policy}.te").write_text("")
    assert made(project, "my.web").policies == {"my.web": policy}


def test_a_long_name_leaves_room_for_the_names_of_the_containers(project: Project) -> None:
    (project.root / "c.yaml").write_text("services: {web: {image: x}, db: {image: y}}")
    made(project, "x-" * 30, source=Source(compose=project.root / "c.yaml"))
    assert "_web`" in text_of(project, "x-" * 30)
    assert "_db`" in text_of(project, "x-" * 30)


def test_without_one_it_is_none_and_says_how_to_get_one(project: Project) -> None:
    assert made(project).policies == {"web": "none"}
    assert "`selab new policy web`" in text_of(project)


def test_the_policy_that_is_asked_for_must_be_there(project: Project) -> None:
    with pytest.raises(InputError, match="no policy 'wob'"):
        made(project, policy="wob")
    assert list(project.scenarios.iterdir()) == []


def test_no_policy_can_be_asked_for(project: Project) -> None:
    (project.policies / "web.te").write_text("")
    assert made(project, policy="none").policies == {"web": "none"}
    assert "selab new policy" not in text_of(project)


def test_what_is_left_out_is_said_in_the_file(project: Project) -> None:
    (project.root / "c.yaml").write_text("services: {web: {image: x, privileged: true}}")
    scenario_file = made(project, source=Source(compose=project.root / "c.yaml"))
    assert [line.partition(":")[0] for line in scenario_file.left] == ["privileged"]
    assert f"#   {scenario_file.left[0]}\n" in text_of(project)


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_a_file_that_is_there_stays_as_it_is(ending: str, project: Project) -> None:
    (project.scenarios / f"web.{ending}").write_text("mine")
    with pytest.raises(InputError, match="already"):
        made(project)
    assert [path.read_text() for path in project.scenarios.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", ".x", "x\n", "é"])
def test_a_name_that_will_not_do_is_refused(name: str, project: Project) -> None:
    with pytest.raises(InputError, match="name"):
        made(project, name)


def test_a_scenario_of_too_many_bytes_is_not_written(project: Project) -> None:
    variables = {f"V{number}": "\N{GRINNING FACE}" * 7000 for number in range(60)}
    (project.root / "web.json").write_text(
        json.dumps({"Config": {"Image": "x:y", "Env": [f"{k}={v}" for k, v in variables.items()]}})
    )
    with pytest.raises(InputError, match="too large"):
        made(project, source=Source(container=str(project.root / "web.json")))
    assert list(project.scenarios.iterdir()) == []


WORDS = [
    "yes",
    "null",
    "~",
    "true",
    "1e9",
    "0x10",
    "80:80",
    "1.5",
    "- x",
    "a: b",
    "#x",
    "&x",
    "*x",
    "!x",
    "=",
    "<<",
]
WORDS += ["a\nb", "\u202e", "\x85", "\ud800", "\0"]
ODD = st.one_of(st.text(max_size=20), st.sampled_from(WORDS))


@given(ODD, ODD, st.lists(ODD, max_size=3), st.sampled_from(["no", "true", "null", "A"]))
def test_what_is_written_reads_the_same(
    description: str, user: str, command: list[str], variable: str
) -> None:
    scenario = ScenarioBuilder()
    scenario.describe(description)
    draft = scenario.container("web")
    draft.set("policy", "none")
    draft.set("image", "x:y")
    for key, value in (("user", user), ("command", command)):
        with draft.trying(key):
            draft.set(key, value)
    with draft.trying("environment"):
        draft.variable(variable, user)
    read = parse(scenario_text(scenario, {}), Path("web.yaml"), Scenario)
    written = {**scenario.data, **draft.data}
    assert {
        key: read.as_written().get(key, [] if key == "command" else "") for key in written if key != "policy"
    } == {key: value for key, value in written.items() if key != "policy"}


def test_a_value_of_several_lines_stays_on_one() -> None:
    scenario = ScenarioBuilder()
    draft = scenario.container("web")
    for key, value in (("policy", "none"), ("image", "x:y"), ("command", ["sh", "-c", "a\nsteps: b"])):
        draft.set(key, value)
    assert 'command: [sh, -c, "a\\nsteps: b"]' in scenario_text(scenario, {}).splitlines()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD, inner, max_size=3)),
    max_leaves=8,
)
KEYS = [*_Service.CONVERTERS, "privileged", "x"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), ODD), JSON, max_size=5))
def test_whatever_a_service_is_the_file_loads(project: Project, settings: dict[str, Any]) -> None:
    scenario = ScenarioBuilder()
    add_service(scenario.container("web"), project, settings, project.root)
    loads(scenario)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ODD, max_size=3), st.dictionaries(ODD, st.just([{"HostPort": "80"}]), max_size=3), ODD, JSON)
def test_whatever_a_container_is_the_file_loads(
    project: Project, words: list[str], ports: dict[str, Any], word: str, thing: Any
) -> None:
    mounts = [{"Destination": path, "Source": word, "Mode": word} for path in words]
    host = {
        "PortBindings": ports,
        "CapAdd": words,
        "Tmpfs": dict.fromkeys(words),
        "SecurityOpt": thing,
        "Devices": thing,
    }
    config = {
        "Image": word,
        "Cmd": words,
        "Env": [f"A{number}={text}" for number, text in enumerate(words)],
        "User": word,
    }
    description = {"Name": word, "Config": config, "HostConfig": host, "Mounts": mounts}
    scenario = ScenarioBuilder()
    add_container(scenario.container("web"), project, Container.model_validate(description), None)
    loads(scenario)


def loads(scenario: ScenarioBuilder) -> None:
    for draft in scenario.containers.values():
        draft.set("policy", "none")
        draft.data.setdefault("image", "x")
    text = scenario_text(scenario, {})
    assert text.isascii()
    parse(text, Path("web.yaml"), Scenario)
    assert len([line for line in text.splitlines() if line.startswith("steps:")]) == 1
    assert yaml.safe_load(text)["expect"] == {"denials": "none"}


def test_the_command_says_what_it_wrote_and_what_comes_next(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(project.root), "new", "scenario", "web"]) == 0
    output = capsys.readouterr()
    assert output.out == "scenarios/web.yaml\n"
    assert "`selab run web --setenforce no`" in output.err


@pytest.mark.parametrize(
    "options",
    [
        ["--from-container", "x", "--from-compose", "y"],
        ["--service", "x"],
        ["--profile", "x"],
        ["--object", "x"],
        ["--from-kube", "x", "--from-compose", "y"],
        ["--from-pod", "x", "--from-container", "y"],
        ["--from-compose", "y", "--service", "x", "--profile", "z"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(options: list[str], project: Project) -> None:
    assert run(["-C", str(project.root), "new", "scenario", "web", *options]) == 2


QUEUE = Source(unit=ServiceSource("queue.service", ("queue", "queue-data")))


def test_a_service_of_the_guest_keeps_running(project: Project) -> None:
    (project.policies / "web.te").write_text("")
    made(project, source=QUEUE)
    assert load_scenario(project, "web").as_written() == {
        "description": "What web does.",
        "policy": "web",
        "service": {"packages": ["queue", "queue-data"], "unit": "queue.service"},
        "steps": [{"up": {}}],
    }
    assert "tcp: {port: 8080, wait: true}" in text_of(project)


@pytest.mark.parametrize("policy", [None, "none"])
def test_a_service_of_the_guest_needs_a_policy(project: Project, policy: str | None) -> None:
    with pytest.raises(InputError, match="needs a policy") as caught:
        made(project, policy=policy, source=QUEUE)
    assert "`selab new policy web --for-service queue.service`" in caught.value.hint
    assert [*project.scenarios.iterdir()] == []
