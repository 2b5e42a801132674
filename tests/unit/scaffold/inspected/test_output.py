"""The output of each tool's `inspect` is read, and what is not a container is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.errors import InputError
from selab.scaffold.inspected.output import parse_container

CRI: dict[str, Any] = {
    "status": {
        "metadata": {"name": "web", "attempt": 0},
        "image": {"image": "registry.example/web:1"},
        "imageRef": "registry.example/web@sha256:" + "a" * 64,
        "mounts": [
            {"containerPath": "/home", "hostPath": "/var/home", "readonly": True, "selinuxRelabel": True},
            {"containerPath": "/x", "hostPath": "/x", "propagation": "PROPAGATION_HOST_TO_CONTAINER"},
        ],
    }
}
INFO: dict[str, Any] = {
    "config": {
        "args": ["-v"],
        "command": ["web"],
        "envs": [{"key": "A", "value": "b"}],
        "linux": {
            "security_context": {
                "selinux_options": {"type": "web.process", "level": "s0:c1,c2"},
                "capabilities": {"add_capabilities": ["NET_ADMIN"]},
                "readonly_rootfs": True,
            }
        },
    },
    "runtimeSpec": {"process": {"selinuxLabel": "system_u:system_r:web.process:s0:c1,c2"}},
}


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("", "empty"),
        ({}, "nothing"),
        ([], "nothing"),
        ([{}], "nothing"),
        ("web", "not JSON"),
        ({"Id": "a", "Name": "p", "Containers": [], "InfraConfig": {}}, "a pod"),
        ({"Id": "a", "Name": "p", "Containers": [{"Id": "b"}]}, "a pod"),
        ({"status": {"id": "a", "network": {}, "linux": {}}}, "a pod"),
        ([{"Id": "sha256:a", "RepoTags": ["x:1"], "Config": {"Cmd": ["x"]}}], "an image"),
        ({"status": {"id": "a", "repoTags": ["x:1"]}}, "an image"),
        ({"architecture": "amd64", "os": "linux", "rootfs": {}, "config": {}}, "an image"),
        ({"apiVersion": "v1", "kind": "Pod", "spec": {}, "status": {}}, "a Kubernetes object"),
        ({"ociVersion": "1.0.2", "process": {}, "root": {}}, "an OCI bundle"),
        ({"ociVersion": "1.0.2", "id": "a", "status": "running", "bundle": "/x"}, "the state of an OCI"),
        ({"services": {"web": {}}}, "a Compose file"),
        ({"ID": "a", "Image": "x", "Snapshotter": "overlayfs", "Spec": {}}, "containerd's own form"),
        ({"Name": "v", "Driver": "local", "Mountpoint": "/x"}, "a volume"),
        ({"Name": "n", "IPAM": {}, "Containers": {}}, "a network"),
        ({"Names": ["x"], "Command": ["y"], "Image": "z", "Mounts": []}, "a row of"),
        ({"containers": []}, "a list of containers"),
        ({"items": []}, "a list of pods"),
        ({"a": 1}, "its keys are"),
        ({"status": {"id": "a"}}, "names no image"),
    ],
)
def test_what_is_not_a_container_is_named(description: Any, kind: str) -> None:
    data = description if isinstance(description, str) else json.dumps(description)
    with pytest.raises(InputError) as refused:
        parse_container(data.encode(), "x.json")
    assert kind in refused.value.detail
    assert refused.value.hint


def test_crictl_without_info() -> None:
    container = parse_container(json.dumps(CRI).encode(), "x.json")
    mounts = [
        (mount.destination, mount.source, mount.writable, mount.mode) for mount in container.mounts or ()
    ]
    assert (container.name, container.image_name, mounts) == (
        "web",
        "registry.example/web:1",
        [("/home", "/var/home", False, "Z"), ("/x", "/x", True, "")],
    )


def test_crictl_with_info() -> None:
    container = parse_container(json.dumps(CRI | {"info": INFO}).encode(), "x.json")
    config, host = container.config, container.host_config
    assert (config.cmd, config.entrypoint, config.env) == (["-v"], ["web"], ["A=b"])
    assert (host.security_opt, host.cap_add, host.readonly_rootfs) == (
        ["label=type:web.process", "label=level:s0:c1,c2"],
        ["NET_ADMIN"],
        True,
    )


def test_an_image_known_by_digest_is_taken_from_the_reference() -> None:
    status = CRI["status"] | {"image": {"image": "sha256:" + "b" * 64}}
    assert "web@sha256" in str(parse_container(json.dumps({"status": status}).encode(), "x").image_name)


@pytest.mark.parametrize("key", ["Tmpfs", "CapAdd", "PortBindings", "SecurityOpt"])
@pytest.mark.parametrize("value", [[], {}, None])
def test_an_empty_list_or_object_means_none(key: str, value: Any) -> None:
    container = parse_container(json.dumps({"HostConfig": {key: value}}).encode(), "x.json")
    assert not container.host_config.model_dump(by_alias=True)[key]


@pytest.mark.parametrize(
    "port",
    [
        {"hostPort": 21, "containerPort": 2121, "protocol": "tcp", "hostIP": ""},
        {"host_port": 21, "container_port": 2121, "protocol": ""},
    ],
)
def test_podmans_list_of_ports(port: dict[str, Any]) -> None:
    container = parse_container(json.dumps({"NetworkSettings": {"Ports": [port]}}).encode(), "x.json")
    assert container.network_settings is not None
    ports = container.network_settings.ports or {}
    assert [(key, [item.host_port for item in bindings or ()]) for key, bindings in ports.items()] == [
        ("2121/tcp", ["21"])
    ]


@pytest.mark.parametrize("ports", [[1], "x", {"80/tcp": 1}, [[]]])
def test_ports_of_another_form_are_refused(ports: Any) -> None:
    with pytest.raises(InputError):
        parse_container(json.dumps({"NetworkSettings": {"Ports": ports}}).encode(), "x.json")


@pytest.mark.parametrize("key", ["RootFS", "RepoTags", "Containers"])
def test_a_container_with_a_key_of_something_else_is_a_container(key: str) -> None:
    assert parse_container(json.dumps({"Name": "web", "HostConfig": {}, key: []}).encode(), "x").name == "web"
