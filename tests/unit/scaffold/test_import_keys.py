"""No key of a published schema is lost silently: each is used, named, or irrelevant for a reason."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from selab.project import Project
from selab.scaffold.compose import from_compose
from selab.scaffold.container import _builder
from selab.scaffold.import_keys import keys_of, name_unsupported, name_unsupported_keys
from selab.scaffold.inspect_output import Container
from selab.scaffold.scenario_builder import ScenarioBuilder

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
    ("config", "ExposedPorts"): {"HostConfig": {"PublishAllPorts": True}},
    ("host_config", "PublishAllPorts"): {"Config": {"ExposedPorts": {"80/tcp": {}}}},
    ("mount", "Source"): {"Mounts": [{"Type": "bind", "Destination": "/x"}]},
}
"""What else the container must have before the key has an effect."""
LONG_SYNTAX = {
    "service_port": lambda fields: {"ports": [{"target": 80, "published": 8001, **fields}]},
    "service_volume": lambda fields: {"volumes": [{"type": "bind", "source": "s", "target": "/x", **fields}]},
    "service_bind": lambda fields: {"volumes": [{"type": "bind", "target": "/x", "bind": fields}]},
    "service_volume_options": lambda fields: {
        "volumes": [{"type": "volume", "target": "/x", "volume": fields}]
    },
    "service_tmpfs": lambda fields: {"volumes": [{"type": "tmpfs", "target": "/x", "tmpfs": fields}]},
}
"""Services with a port or a volume in the long syntax, by the part of it that has other fields."""
LONG_VALUES: dict[str, Any] = {
    "protocol": "udp",
    "published": 9000,
    "target": "90",
    "type": "npipe",
    "read_only": True,
    "selinux": "Z",
    "bind": {"selinux": "z"},
    "volume": {"subpath": "x"},
}
PARTS_OF_THE_TABLE = [
    *("container", "config", "host_config", "mount", "network", "compose", "service"),
    *LONG_SYNTAX,
]
COMPOSE: dict[str, Any] = {
    "image": "web:1",
    "cap_add": ["CHOWN"],
    "cap_drop": ["CHOWN"],
    "environment": {"A": "b"},
    "ports": ["80"],
    "read_only": True,
    "security_opt": ["label=type:web_t"],
    "tmpfs": "/x",
    "volumes": ["/x"],
}
"""Values of a service that must change the scenario, by the key; `value` for the others."""
PARTS = {"config": "Config", "host_config": "HostConfig"}


def published() -> list[tuple[str, str]]:
    return [
        (part, key)
        for schema in ("inspect", "podman")
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
    return container | {PARTS[part]: container.get(PARTS[part], {}) | {key: value}}


def outcome(project: Project, container: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    builder = _builder(project, Container.model_validate(container), None)
    return builder.data, builder.left


@pytest.mark.parametrize(("part", "key"), published(), ids=lambda value: str(value))
def test_no_key_of_inspect_is_lost(part: str, key: str, project: Project) -> None:
    before = NEEDS.get((part, key), {"Mounts": [MOUNT]} if part == "mount" else {})
    changes = outcome(project, with_key(part, key, before)) != outcome(project, before)
    reason = keys_of(part).irrelevant.get(key)
    assert changes != bool(reason), f"{part} {key}: changes {changes}, reason {reason!r}"


def of_service(project: Project, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    file = project.root / "compose.yaml"
    file.write_text(json.dumps({"services": {"web": settings}}))
    builder = from_compose(project, file, None)
    return builder.data, builder.left


@pytest.mark.parametrize("key", PUBLISHED["compose"]["service"].split())
def test_no_key_of_a_compose_service_is_lost(key: str, project: Project) -> None:
    changes = of_service(project, {key: COMPOSE.get(key, "value")}) != of_service(project, {})
    reason = keys_of("service").irrelevant.get(key)
    assert changes != bool(reason), f"{key}: changes {changes}, reason {reason!r}"


def long_syntax() -> list[tuple[str, str]]:
    keys = [(part, key) for part in LONG_SYNTAX for key in PUBLISHED["compose"][part].split()]
    return [(part, key) for part, key in keys if key != "tmpfs"]  # its keys are the part service_tmpfs


@pytest.mark.parametrize(("part", "key"), long_syntax())
def test_no_key_of_the_long_syntax_is_lost(part: str, key: str, project: Project) -> None:
    with_it = of_service(project, LONG_SYNTAX[part]({key: LONG_VALUES.get(key, "value")}))
    changes = with_it != of_service(project, LONG_SYNTAX[part]({}))
    reason = keys_of(part).irrelevant.get(key)
    assert changes != bool(reason), f"{part} {key}: changes {changes}, reason {reason!r}"


def test_every_key_of_a_compose_file_is_in_the_table() -> None:
    keys = keys_of("compose")
    assert set(PUBLISHED["compose"]["compose"].split()) == keys.used | set(keys.irrelevant)


def test_free_keys_of_compose_are_not_named_and_unknown_ones_are() -> None:
    builder = ScenarioBuilder()
    name_unsupported_keys(builder, "service", {"x-mine": 1, "teleport": {}, "init": False})
    assert builder.left == ['the key "teleport": selab does not know it']


@pytest.mark.parametrize("part", PARTS_OF_THE_TABLE)
def test_each_key_is_in_one_list(part: str) -> None:
    keys = keys_of(part)
    lists = [set(keys.used), set(keys.named), set(keys.irrelevant)]
    assert len(set.union(*lists)) == sum(map(len, lists))


@pytest.mark.parametrize("part", PARTS_OF_THE_TABLE)
def test_only_keys_that_are_named_have_usual_values(part: str) -> None:
    keys = keys_of(part)
    assert set(keys.usual) <= set(keys.named)


def test_an_unknown_key_is_named() -> None:
    builder = ScenarioBuilder()
    name_unsupported(builder, "host_config", {"Teleport": True, "Empty": None})
    assert builder.left == ['the key "Teleport": selab does not know it']


def test_a_default_is_not_named() -> None:
    builder = ScenarioBuilder()
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
    builder = ScenarioBuilder()
    name_unsupported(builder, part, settings)
    assert len(builder.left) == 1
    assert "hunter2" not in builder.left[0]
