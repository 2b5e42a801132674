"""The pod of a workload becomes a scenario, which loads, and what it loses is named with its container."""

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
from selab.scaffold.kube.pod import from_kube
from selab.scaffold.render import scenario_text
from selab.scaffold.scenario import Source, new_scenario
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario.load import load_scenario
from selab.scenario.model import Scenario

WEB = {"name": "web", "image": "web:1"}
DB = {"name": "db", "image": "db:1"}


def pod(project: Project, *containers: Any, kind: str = "Pod", **spec: Any) -> ScenarioBuilder:
    file = project.root / "pod.yaml"
    fields = {"containers": list(containers), **spec}
    if kind != "Pod":
        fields = {"template": {"spec": fields}}
    file.write_text(json.dumps({"kind": kind, "metadata": {"name": "shop"}, "spec": fields}))
    return from_kube(project, file)


def test_a_pod_becomes_a_scenario_that_loads(project: Project) -> None:
    file = project.root / "pod.yaml"
    spec = {
        "initContainers": [{"name": "setup", "image": "web:1", "args": ["setup"]}],
        "containers": [WEB | {"ports": [{"containerPort": 80}]}, DB],
        "securityContext": {"seLinuxOptions": {"type": "shop_t"}},
    }
    file.write_text(json.dumps({"kind": "Pod", "metadata": {"name": "shop"}, "spec": spec}))
    new_scenario(project, "shop", None, Source(kube=file))
    written = load_scenario(project, "shop").as_written()
    label, shared = {"label": {"type": "shop_t"}}, {"network": "pod", "ipc": "pod"}
    assert written == {
        "description": "The Pod shop of pod.yaml.",
        "level": "scenario",
        "containers": {
            "setup": {"image": "web:1", "init": True, "command": ["setup"], **label},
            "web": {"image": "web:1", "ports": [{"guest": 8080, "container": 80}], **label, **shared},
            "db": {"image": "db:1", **label, **shared},
        },
        "steps": [
            {"container": "web", "http": {"port": 8080, "status": "any", "wait": True}},
            {"container": "db", "up": {}},
        ],
    }


def test_a_single_container_is_written_without_its_name(project: Project) -> None:
    scenario = pod(project, WEB, securityContext={"seLinuxOptions": {"level": "s0:c1,c2"}})
    assert scenario.as_data() == {
        "description": "The Pod shop of pod.yaml.",
        "image": "web:1",
        "label": {"level": "s0:c1,c2"},
    }


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_the_pod_of_a_workload_is_that_of_its_template(kind: str, project: Project) -> None:
    assert pod(project, WEB, kind=kind).only.data == {"image": "web:1"}


@pytest.mark.parametrize(("kind", "policy"), [("Job", "OnFailure"), ("Pod", "Never")])
def test_the_step_of_a_container_that_is_to_end_is_its_exit(kind: str, policy: str, project: Project) -> None:
    assert pod(project, WEB, kind=kind, restartPolicy=policy).only.step == {"exit": {"timeout": 60}}


def test_containers_share_the_process_namespace_if_the_pod_says_so(project: Project) -> None:
    scenario = pod(project, WEB, DB, shareProcessNamespace=True)
    assert [builder.data["pid"] for builder in scenario.containers.values()] == ["pod", "pod"]


@pytest.mark.parametrize(
    ("key", "kind"), [("hostNetwork", "network"), ("hostPID", "pid"), ("hostIPC", "ipc")]
)
def test_a_namespace_of_the_host_is_taken(key: str, kind: str, project: Project) -> None:
    ports = {"ports": [{"containerPort": 80}]}
    for scenario in (pod(project, WEB | ports, **{key: True}), pod(project, WEB | ports, DB, **{key: True})):
        for builder in scenario.containers.values():
            assert builder.data[kind] == "host"
            assert builder.left == []


def test_the_level_of_a_pod_is_that_of_the_scenario(project: Project) -> None:
    options = {"seLinuxOptions": {"level": "s0:c1,c2"}}
    own = {"securityContext": {"seLinuxOptions": {"level": "s0:c3,c4"}}}
    scenario = pod(project, WEB, DB | own, securityContext=options)
    assert scenario.data["level"] == "s0:c1,c2"
    assert [builder.data.get("label") for builder in scenario.containers.values()] == [
        None,
        {"level": "s0:c3,c4"},
    ]


def test_an_init_container_after_a_sidecar_waits_for_it(project: Project) -> None:
    probe = {"startupProbe": {"exec": {"command": ["check"]}}}
    init = [
        {"name": "first", "image": "x:1"},
        {"name": "proxy", "image": "x:1", "restartPolicy": "Always", **probe},
        {"name": "late", "image": "x:1"},
    ]
    scenario = pod(project, WEB, initContainers=init)
    Scenario.model_validate(scenario.as_data())
    data = {name: builder.data for name, builder in scenario.containers.items()}
    assert [name for name in data if data[name].get("init")] == ["first"]
    assert data["late"]["after"] == {"proxy": "healthy"}
    assert data["web"]["after"] == {"proxy": "healthy", "late": "exited"}
    assert scenario.ending == {"first", "late"}


@pytest.mark.parametrize(
    ("container", "line"),
    [
        ({"workingDir": "/x"}, "workingDir: "),
        ({"securityContext": {"privileged": True}}, "securityContext.privileged: "),
        (
            {"securityContext": {"allowPrivilegeEscalation": False}},
            "securityContext.allowPrivilegeEscalation: ",
        ),
        ({"securityContext": {"seLinuxOptions": {"role": "r"}}}, "securityContext.seLinuxOptions.role: "),
        ({"resources": {"limits": {"cpu": 1}}}, "resources.limits: "),
        ({"lifecycle": {"preStop": {"exec": {}}}}, "lifecycle.preStop: "),
        ({"livenessProbe": {"grpc": {"port": 1}}}, "livenessProbe.grpc: "),
        ({"teleport": 1}, 'the key "teleport": '),
        ({"ports": [{"containerPort": 53, "protocol": "UDP"}]}, 'ports "53": '),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, 'env "A": '),
        ({"env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}, 'env "DB_PASSWORD": '),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, "envFrom: "),
        ({"command": ["x"]}, "command: if the image has an entrypoint"),
    ],
)
def test_what_a_container_loses_is_named_by_its_path(
    container: dict[str, Any], line: str, project: Project
) -> None:
    (remark,) = pod(project, WEB | container, DB).remarks
    assert remark.startswith(f"web: {line}")
    assert "hunter2" not in remark


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"hostname": "x"}, "hostname: "),
        ({"securityContext": {"fsGroup": 1}}, "securityContext.fsGroup: "),
        ({"hostUsers": False}, "hostUsers: "),
        ({"teleport": True}, 'the key "teleport": '),
    ],
)
def test_what_a_pod_loses_is_named_by_its_path(spec: dict[str, Any], line: str, project: Project) -> None:
    (remark,) = pod(project, WEB, **spec).remarks
    assert remark.startswith(line)


def test_other_objects_of_the_manifest_are_named(project: Project) -> None:
    file = project.root / "pod.yaml"
    file.write_text(
        "{kind: Pod, metadata: {name: a}, spec: {containers: [{image: 'x:1'}]}}\n---\n"
        "{kind: Secret, metadata: {name: keys}, data: {a: aHVudGVyMg}}"
    )
    (line,) = from_kube(project, file).remarks
    assert line == "Secret keys: it is not part of the pod"


@pytest.mark.parametrize("containers", [[], [{"name": f"c{number}"} for number in range(17)]])
def test_no_containers_or_too_many_are_refused(containers: list[Any], project: Project) -> None:
    with pytest.raises(InputError, match="containers"):
        pod(project, *containers)


WORDS = st.sampled_from(["web", "db", "/data", "Always", "HTTPS", "", "a" * 40, "s0:c1,c2", "80"])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)


def objects(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, JSON))


PROBE = st.fixed_dictionaries(
    {},
    optional={
        "exec": st.one_of(JSON, st.fixed_dictionaries({"command": JSON})),
        "httpGet": objects("path", "port", "scheme", "host"),
        "tcpSocket": objects("port", "host"),
        "periodSeconds": JSON,
    },
)
SECURITY = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {}, optional={"runAsUser": JSON, "runAsGroup": JSON, "seLinuxOptions": objects("type", "level")}
    ),
)
CONTAINER = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("name", "image", "command", "args", "restartPolicy", "resources"), JSON),
        "ports": st.one_of(
            JSON, st.lists(objects("containerPort", "hostPort", "protocol", "name"), max_size=2)
        ),
        "env": st.one_of(JSON, st.lists(objects("name", "value", "valueFrom"), max_size=2)),
        "envFrom": st.one_of(JSON, st.lists(objects("configMapRef", "prefix"), max_size=2)),
        "volumeMounts": st.one_of(JSON, st.lists(objects("name", "mountPath", "subPath"), max_size=2)),
        "readinessProbe": PROBE,
        "startupProbe": PROBE,
        "securityContext": SECURITY,
    },
)
SPEC = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINER, min_size=1, max_size=2)},
    optional={
        "initContainers": st.one_of(JSON, st.lists(CONTAINER, max_size=3)),
        "volumes": st.one_of(
            JSON, st.lists(objects("name", "hostPath", "emptyDir", "configMap", "secret"), max_size=2)
        ),
        **dict.fromkeys(("hostNetwork", "hostPID", "shareProcessNamespace", "restartPolicy", "odd"), JSON),
        "securityContext": SECURITY,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(["Pod", "Job"]), SPEC)
def test_whatever_a_pod_is_the_file_loads(project: Project, kind: str, spec: dict[str, Any]) -> None:
    containers = spec.pop("containers")
    scenario = pod(project, *containers, kind=kind, **spec)
    for builder in scenario.containers.values():
        builder.set("policy", "none")
        builder.data.setdefault("image", "x")
    parse(scenario_text(scenario, {}), Path("shop.yaml"), Scenario)
