"""No key of a published schema is lost silently: each is used, named, or irrelevant for a reason."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selab.host.tables import table
from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.import_keys import keys_of, name_unsupported, name_unsupported_keys
from selab.scaffold.inspected.container import scenario_of
from selab.scaffold.inspected.output import Container

PUBLISHED = tomllib.loads((Path(__file__).parent / "published_keys.toml").read_text())
BINDINGS = {"80/tcp": [{"HostPort": "8080"}]}
MOUNT = {"Type": "volume", "Destination": "/x"}
USED: dict[tuple[str, str], Any] = {
    ("container", "Config"): {"User": "me"},
    ("container", "HostConfig"): {"Init": True},
    ("container", "Image"): "web:1",
    ("container", "ImageName"): "web:1",
    ("container", "Mounts"): [MOUNT],
    ("container", "NetworkSettings"): {"Ports": BINDINGS},
    ("container", "ProcessLabel"): "u:r:web_t:s0",
    ("network", "Ports"): BINDINGS,
    ("config", "Cmd"): ["web"],
    ("config", "Entrypoint"): ["web"],
    ("config", "Env"): ["A=b"],
    ("config", "Image"): "web:1",
    ("host_config", "CapAdd"): ["CHOWN"],
    ("host_config", "CapDrop"): ["CHOWN"],
    ("host_config", "MaskedPaths"): [],
    ("host_config", "PortBindings"): BINDINGS,
    ("host_config", "PublishAllPorts"): True,
    ("host_config", "ReadonlyPaths"): [],
    ("host_config", "ReadonlyRootfs"): True,
    ("host_config", "SecurityOpt"): ["label=type:web_t"],
    ("host_config", "Tmpfs"): {"/x": ""},
    ("mount", "Destination"): "/y",
    ("mount", "Mode"): "Z",
    ("mount", "RW"): False,
    ("mount", "Source"): "/srv",
    ("mount", "Type"): "npipe",
}
"""Values that must change the scenario, by the part and the key; `value` for the others."""
NEEDS = {
    ("host_config", "PublishAllPorts"): {"Config": {"ExposedPorts": {"53/udp": {}}}},
    ("mount", "Source"): {"Mounts": [{"Type": "bind", "Destination": "/x"}]},
}
"""What else the container must have before the key has an effect."""
NESTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "config": lambda fields: {"Config": fields},
    "host_config": lambda fields: {"HostConfig": fields},
    "requested_mount": lambda fields: {"HostConfig": {"Mounts": [fields]}},
    "bind_options": lambda fields: {"HostConfig": {"Mounts": [{"BindOptions": fields}]}},
    "volume_options": lambda fields: {"HostConfig": {"Mounts": [{"VolumeOptions": fields}]}},
    "image_options": lambda fields: {"HostConfig": {"Mounts": [{"ImageOptions": fields}]}},
    "network": lambda fields: {"NetworkSettings": fields},
    "endpoint": lambda fields: {"NetworkSettings": {"Networks": {"bridge": fields}}},
}
"""Containers with an object, by the part of the table that describes the object."""
TABLE = table("scaffold/import_keys.toml")


def published() -> list[tuple[str, str]]:
    return [
        (part, key)
        for schema in ("docker", "docker_before", "podman")
        for part, keys in PUBLISHED[schema].items()
        for key in keys.split()
    ]


def with_key(part: str, key: str, container: dict[str, Any]) -> dict[str, Any]:
    value = USED.get((part, key), {"80/tcp": {}} if key == "ExposedPorts" else "value")
    if part == "mount":
        mounts = container.get("Mounts", [MOUNT])
        return container | {"Mounts": [mounts[0] | {key: value}]}
    if part == "container":
        return container | {key: value}
    for name, fields in NESTED[part]({key: value}).items():
        container = container | {name: container.get(name, {}) | fields}
    return container


def outcome(project: Project, container: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    scenario = scenario_of(project, Container.model_validate(container), None)
    return scenario.data | scenario.only.data, scenario.only.left


@pytest.mark.parametrize(("part", "key"), published(), ids=lambda value: str(value))
def test_no_key_of_inspect_is_lost(part: str, key: str, project: Project) -> None:
    before = NEEDS.get((part, key), {"Mounts": [MOUNT]} if part == "mount" else {})
    changes = outcome(project, with_key(part, key, before)) != outcome(project, before)
    reason = keys_of(part).irrelevant.get(key)
    assert changes != bool(reason), f"{part} {key}: changes {changes}, reason {reason!r}"


@pytest.mark.parametrize("part", PUBLISHED["crictl"])
def test_no_key_of_crictl_is_lost(part: str) -> None:
    for key in PUBLISHED["crictl"][part].split():
        builder, keys = ContainerBuilder(), keys_of(part)
        name_unsupported(builder, part, {key: "value"})
        known = key in keys.named or key in keys.parts
        assert bool(builder.left) == (known and key not in keys.used), key
        assert key in {*keys.named, *keys.parts, *keys.used, *keys.irrelevant}, key


OF_PODS = PUBLISHED["kubernetes"] | PUBLISHED["pods"]


@pytest.mark.parametrize("part", OF_PODS)
def test_every_key_of_pods_is_known(part: str) -> None:
    keys = keys_of(part)
    assert {*keys.named, *keys.parts, *keys.used, *keys.irrelevant} == set(OF_PODS[part].split())


def test_each_key_is_in_one_list() -> None:
    for part in TABLE:
        keys = keys_of(part)
        lists = [set(keys.used), set(keys.named), set(keys.irrelevant)]
        assert len(set.union(*lists)) == sum(map(len, lists)), part


def test_each_part_has_a_table() -> None:
    assert {
        part.lstrip("*") for fields in TABLE.values() for part in fields.get("parts", {}).values()
    } <= set(TABLE)


def test_only_keys_that_are_named_have_usual_values() -> None:
    assert [part for part in TABLE if not set(keys_of(part).usual) <= set(keys_of(part).named)] == []


def test_an_unknown_key_is_named() -> None:
    builder = ContainerBuilder()
    name_unsupported(builder, "host_config", {"Teleport": True, "Empty": None})
    assert builder.left == ['the key "Teleport": selab does not know it']


def test_a_default_is_not_named() -> None:
    builder = ContainerBuilder()
    name_unsupported(builder, "host_config", {"ShmSize": 67108864, "Memory": 0, "CgroupnsMode": "private"})
    assert builder.left == []


@pytest.mark.parametrize(
    ("part", "settings"),
    [
        ("config", {"Healthcheck": {"Test": ["CMD", "x", "-phunter2"]}}),
        ("host_config", {"Sysctls": {"x": "u://a:hunter2@b"}}),
    ],
)
def test_a_secret_in_a_value_is_not_shown(part: str, settings: dict[str, Any]) -> None:
    builder = ContainerBuilder()
    name_unsupported(builder, part, settings)
    assert len(builder.left) == 1
    assert "hunter2" not in builder.left[0]


@pytest.mark.parametrize(
    ("part", "key", "value", "shape"),
    [
        ("service", "environment", "A=b", "a list or an object"),
        ("related_service", "healthcheck", "curl", "an object"),
        ("kube_pod", "hostNetwork", "true", "true or false"),
        ("kube_container", "env", [5], "a list of objects"),
        ("kube_capabilities", "add", "CHOWN", "a list"),
    ],
)
def test_a_value_of_an_invalid_shape_is_named(part: str, key: str, value: Any, shape: str) -> None:
    builder = ContainerBuilder()
    name_unsupported_keys(builder, part, {key: value})
    assert builder.left == [f"{key}: it must be {shape}"]


def test_inspect_may_have_an_invalid_shape_too() -> None:
    builder = ContainerBuilder()
    name_unsupported(builder, "cri_pod", {"port_mappings": "80"})
    assert builder.left == ["port_mappings: it must be a list of objects"]


def test_a_null_has_every_shape() -> None:
    builder = ContainerBuilder()
    name_unsupported_keys(builder, "related_service", {"depends_on": None})
    assert builder.left == []
