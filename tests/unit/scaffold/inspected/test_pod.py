"""A pod of Podman or crictl becomes a scenario, from the runtime itself or from what it printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.project import Project
from selab.scaffold.inspected.pod import from_pod
from selab.scaffold.scenario import Source, new_scenario
from selab.scaffold.scenario_builder import ScenarioBuilder
from selab.scenario.load import load_scenario
from tests.unit.fakes import FakeGuest

INFRA = "f" * 64
POD = {
    "Id": "a" * 64,
    "Name": "shop",
    "State": "Running",
    "CreateInfra": True,
    "InfraContainerID": INFRA,
    "InfraConfig": {
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8001"}]},
        "HostNetwork": False,
        "NoManageHosts": False,
    },
    "SharedNamespaces": ["ipc", "net", "uts"],
    "NumContainers": 3,
    "Containers": [
        {"Id": INFRA, "Name": "shop-infra", "State": "running"},
        {"Id": "web1", "Name": "web", "State": "running"},
        {"Id": "db1", "Name": "db", "State": "running"},
    ],
}


def podman(name: str, **fields: Any) -> dict[str, Any]:
    """Describe a member of the pod, which has the pod's ports and namespaces in its own description."""
    host = {"NetworkMode": f"container:{INFRA}", "IpcMode": f"container:{INFRA}", "PidMode": "private"}
    ports = {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8001"}]}}
    config = fields.pop("Config", {})
    return {
        "Id": f"{name}1",
        "Name": name,
        "ImageName": f"{name}:1",
        "Pod": "a" * 64,
        "Dependencies": [INFRA],
        "State": {"Status": "running", "ExitCode": 0},
        "Config": config,
        "HostConfig": host,
        "NetworkSettings": ports,
        **fields,
    }


WEB, DB = podman("web", Config={"ExposedPorts": {"80/tcp": {}}}), podman("db")


def crictl(name: str, *, state: str = "CONTAINER_RUNNING", **config: Any) -> dict[str, Any]:
    status = {"metadata": {"name": name}, "image": {"image": f"{name}:1"}, "state": state, "exitCode": 0}
    namespaces = {"namespace_options": {"network": 0, "pid": 1}}
    linux = {"security_context": {**namespaces, "selinux_options": {"type": f"{name}_t"}}}
    return {"status": status, "info": {"config": {"linux": linux, **config}}}


CRI_POD = {
    "status": {
        "id": "p1",
        "metadata": {"name": "shop", "namespace": "default"},
        "state": "SANDBOX_READY",
        "network": {"ip": "10.0.0.1"},
        "linux": {"namespaces": {"options": {"network": "POD", "pid": "CONTAINER", "ipc": "POD"}}},
    },
    "info": {"config": {"metadata": {"name": "shop"}, "port_mappings": [{"container_port": 80}]}},
}


def read(project: Project, *objects: Any) -> ScenarioBuilder:
    file = project.root / "pod.json"
    file.write_text("\n".join(map(json.dumps, objects)))
    return from_pod(project, str(file), FakeGuest())


def test_a_pod_of_podman_becomes_a_scenario_that_loads(project: Project) -> None:
    file = project.root / "pod.json"
    file.write_text(json.dumps([POD]) + json.dumps([WEB, DB, {"Id": INFRA, "Name": "shop-infra"}]))
    assert new_scenario(project, "shop", None, Source(pod=str(file))).left == ()
    shared = {"network": "pod", "ipc": "pod"}
    assert load_scenario(project, "shop").as_written() == {
        "description": "The pod shop.",
        "level": "scenario",
        "containers": {
            "web": {"image": "web:1", "ports": [{"guest": 8001, "container": 80}], **shared},
            "db": {"image": "db:1", **shared},
        },
        "steps": [
            {"container": "web", "http": {"port": 8001, "status": "any", "wait": True}},
            {"container": "db", "up": {}},
        ],
    }


def test_a_pod_of_crictl_becomes_a_scenario(project: Project) -> None:
    scenario = read(project, CRI_POD, [crictl("web"), crictl("db")])
    shared = {"network": "pod", "ipc": "pod"}
    assert {name: builder.data for name, builder in scenario.containers.items()} == {
        "web": {
            "image": "web:1",
            "label": {"type": "web_t"},
            "ports": [{"guest": 8080, "container": 80}],
            **shared,
        },
        "db": {"image": "db:1", "label": {"type": "db_t"}, **shared},
    }
    assert scenario.remarks == ()


def test_a_port_of_which_no_container_says_that_it_listens_is_no_step(project: Project) -> None:
    scenario = read(project, CRI_POD, crictl("web"), crictl("db"))
    assert scenario.containers["web"].step == {"up": {}}
    assert read(project, CRI_POD, crictl("web")).only.step == {}


def test_podman_is_asked_for_the_containers_of_the_pod(project: Project) -> None:
    host = FakeGuest()
    host.answer("podman", "pod", "inspect", "shop", out=json.dumps(POD))
    host.answer("podman", "inspect", "--type", "container", "web1", "db1", out=json.dumps([WEB, DB]))
    assert list(from_pod(project, "shop", host).containers) == ["web", "db"]


def test_crictl_is_asked_if_podman_is_not_there(project: Project) -> None:
    host = FakeGuest()
    host.answer("podman", code=127)
    host.answer("crictl", "inspectp", "shop", out=json.dumps(CRI_POD))
    listed = [
        {"id": "w1", "metadata": {"name": "web", "attempt": 1}},
        {"id": "w0", "metadata": {"name": "web", "attempt": 0}},
        {"id": "d0", "metadata": {"name": "db", "attempt": 0}},
    ]
    host.answer("crictl", "ps", out=json.dumps({"containers": listed}))
    host.answer("crictl", "inspect", "w1", "d0", out=json.dumps([crictl("web"), crictl("db")]))
    assert list(from_pod(project, "shop", host).containers) == ["web", "db"]


@pytest.mark.parametrize(("code", "problem"), [(125, "no pod 'shop'"), (127, "Neither Podman nor crictl")])
def test_a_pod_that_is_not_there_is_an_error(code: int, problem: str, project: Project) -> None:
    host = FakeGuest()
    host.answer("podman", code=code, err="Error: no such pod")
    host.answer("crictl", code=127)
    with pytest.raises(SelabError, match=problem):
        from_pod(project, "shop", host)


@pytest.mark.parametrize("name", ["--all", "a b", ""])
def test_what_is_no_name_is_not_asked_about(name: str, project: Project) -> None:
    with pytest.raises(InputError, match="neither"):
        from_pod(project, name, FakeGuest())


@pytest.mark.parametrize("members", [[], ["--all"], [f"c{number}" for number in range(17)]])
def test_containers_that_cannot_be_inspected_are_an_error(members: list[str], project: Project) -> None:
    host = FakeGuest()
    host.answer("podman", out=json.dumps(POD | {"Containers": [{"Id": each} for each in members]}))
    with pytest.raises(InputError, match=f"{len(members)} containers"):
        from_pod(project, "shop", host)


def test_namespaces_of_the_host_are_taken_and_their_ports_are_not_published(project: Project) -> None:
    infra = POD["InfraConfig"] | {"HostNetwork": True, "pid_ns": "host"}  # type: ignore[operator]
    scenario = read(project, POD | {"InfraConfig": infra}, WEB, DB)
    for builder in scenario.containers.values():
        assert (builder.data["network"], builder.data["pid"], "ports" in builder.data) == (
            "host",
            "host",
            False,
        )
    assert scenario.remarks == ()


def test_the_level_and_the_namespaces_of_a_single_container_are_its_own(project: Project) -> None:
    assert read(project, POD, WEB).as_data() == {
        "description": "The pod shop.",
        "image": "web:1",
        "ports": [{"guest": 8001, "container": 80}],
    }


def test_a_container_that_has_ended_well_is_an_init_container(project: Project) -> None:
    setup = podman("setup", State={"Status": "exited", "ExitCode": 0})
    failed = podman("failed", State={"Status": "exited", "ExitCode": 1})
    scenario = read(project, POD, setup, WEB, failed)
    assert [name for name, builder in scenario.containers.items() if builder.data.get("init")] == ["setup"]
    assert [line.partition(":")[0] for line in scenario.remarks] == ["setup"]
    ended = [crictl(name, state="CONTAINER_EXITED") for name in ("web", "db")]
    assert not read(project, CRI_POD, *ended).ending


def test_what_containers_mount_together_is_one_volume(project: Project) -> None:
    mounts = [{"Type": "volume", "Name": "data", "Source": "/var/x", "Destination": "/data"}]
    scenario = read(project, POD, WEB | {"Mounts": mounts}, DB | {"Mounts": mounts})
    assert scenario.data["named_volumes"] == {"data": {}}
    assert scenario.containers["db"].data["volumes"] == [{"name": "data", "target": "/data"}]


def test_what_a_pod_loses_is_named(project: Project) -> None:
    infra = {"DNSServer": ["10.0.0.1"], "Teleport": 1}
    (one_line, other) = read(project, POD | {"InfraConfig": infra, "devices": []}, WEB, DB).remarks
    assert one_line.startswith("DNS servers: ")
    assert other.startswith('the key "InfraConfig.Teleport": ')
