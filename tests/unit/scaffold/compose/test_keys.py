"""No key of the Compose specification is lost silently: each is used, named with its path, or irrelevant."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from selab.project import Project
from selab.scaffold.compose.application import from_compose
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.import_keys import keys_of, name_unsupported_keys

PUBLISHED = tomllib.loads((Path(__file__).parents[1] / "published_keys.toml").read_text())["compose"]
LONG_SYNTAX = {
    "service_port": lambda fields: {"ports": [{"target": 80, "published": 8001, **fields}]},
    "service_volume": lambda fields: {"volumes": [{"type": "bind", "source": "s", "target": "/x", **fields}]},
    "service_bind": lambda fields: {"volumes": [{"type": "bind", "target": "/x", "bind": fields}]},
    "service_volume_options": lambda fields: {
        "volumes": [{"type": "volume", "target": "/x", "volume": fields}]
    },
    "service_tmpfs": lambda fields: {"volumes": [{"type": "tmpfs", "target": "/x", "tmpfs": fields}]},
    "service_image": lambda fields: {"volumes": [{"type": "image", "target": "/x", "image": fields}]},
    "service_secret": lambda fields: {"secrets": [{"source": "s", **fields}]},
    "service_config": lambda fields: {"configs": [{"source": "s", **fields}]},
}
"""Services with a port or a volume in the long syntax, by the part of it that has other fields."""
LONG_VALUES: dict[str, Any] = {
    "protocol": "udp",
    "published": 9000,
    "target": "90",
    "type": "npipe",
    "read_only": True,
    "selinux": "Z",
    "source": "policies",
    "bind": {"selinux": "z"},
    "volume": {"subpath": "x"},
}
PREFIXES = {
    "service_port": "ports[].",
    "service_volume": "volumes[].",
    "service_bind": "volumes[].bind.",
    "service_volume_options": "volumes[].volume.",
    "service_tmpfs": "volumes[].tmpfs.",
    "service_image": "volumes[].image.",
    "service_secret": "secrets[].",
    "service_config": "configs[].",
}
"""Beginnings of the published paths, by the part of LONG_SYNTAX."""
TABLES = {"service_secret": "service_file", "service_config": "service_file"}
LONG_SYNTAX_PARTS = ("bind", "volume", "tmpfs", "image")
COMPOSE: dict[str, Any] = {
    "image": "web:1",
    "cap_add": ["CHOWN"],
    "cap_drop": ["CHOWN"],
    "environment": {"A": "b"},
    "ports": ["80"],
    "profiles": ["debug"],
    "read_only": True,
    "security_opt": ["label=type:web_t"],
    "tmpfs": "/x",
    "volumes": ["/x"],
}
"""Values of a service that must change the scenario, by the key; `value` for the others."""


def of_service(project: Project, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    file = project.root / "compose.yaml"
    file.write_text(json.dumps({"services": {"web": settings}}))
    builder = from_compose(project, file).only
    return builder.data, builder.left


@pytest.mark.parametrize("key", PUBLISHED["service"].split())
def test_no_key_of_a_compose_service_is_lost(key: str, project: Project) -> None:
    changes = of_service(project, {key: COMPOSE.get(key, "value")}) != of_service(project, {})
    reason = keys_of("service").irrelevant.get(key)
    assert changes != bool(reason), f"{key}: changes {changes}, reason {reason!r}"


def long_syntax() -> list[tuple[str, str]]:
    """Return the part and the key of each published path directly below a prefix."""
    return [
        (part, path.removeprefix(prefix))
        for part, prefix in PREFIXES.items()
        for path in PUBLISHED["service_paths"].split()
        if path.startswith(prefix)
        and path.removeprefix(prefix) not in LONG_SYNTAX_PARTS
        and "." not in path.removeprefix(prefix)
    ]


@pytest.mark.parametrize(("part", "key"), long_syntax())
def test_no_key_of_the_long_syntax_is_lost(part: str, key: str, project: Project) -> None:
    with_it = of_service(project, LONG_SYNTAX[part]({key: LONG_VALUES.get(key, "value")}))
    changes = with_it != of_service(project, LONG_SYNTAX[part]({}))
    reason = keys_of(TABLES.get(part, part)).irrelevant.get(key)
    assert changes != bool(reason), f"{part} {key}: changes {changes}, reason {reason!r}"


def named_path(part: str, path: str) -> str:
    """Return the key of a published path that selab names, with its path; empty if it names none."""
    done = []
    for segment in path.replace("[]", "").split("."):
        done.append("thing" if segment == "*" else segment)
        keys = keys_of(part)
        if segment in keys.parts:
            part = keys.parts[segment].removeprefix("*")
        elif segment != "*":
            lists = [segment in keys.named, segment in keys.irrelevant, segment in keys.used]
            assert any(lists), f"{path}: there is no {segment} in [{part}]"
            return ".".join(done) if lists[0] else ""
    return ""


def names(left: list[str]) -> set[str]:
    return {line.partition(": ")[0] for line in left}


def leaves(key: str) -> list[str]:
    """Return the published paths of values that are not objects, by the first part of the path."""
    paths = PUBLISHED[key].split()
    return [path for path in paths if not any(other.startswith((f"{path}.", f"{path}[")) for other in paths)]


def with_paths(paths: Iterable[str]) -> dict[str, Any]:
    """Return an object that has a value at each of the published paths."""
    whole: dict[str, Any] = {}
    for path in paths:
        place = whole
        *parents, last = path.replace("*", "thing").split(".")
        for parent in parents:
            name = parent.removesuffix("[]")
            place = place.setdefault(name, [{}])[0] if name != parent else place.setdefault(name, {})
        place[last] = "value"
    return whole


def by_first_key(key: str) -> list[tuple[str, list[str]]]:
    first = re.compile(r"\w+").match
    return [(name, list(paths)) for name, paths in groupby(leaves(key), lambda path: first(path)[0])]  # type: ignore[index]


@pytest.mark.parametrize(("key", "paths"), by_first_key("service_paths"))
def test_nested_keys_are_named_with_their_paths(key: str, paths: list[str], project: Project) -> None:
    _, left = of_service(project, with_paths(paths))
    named = {name for name in names(left) if name.startswith(f"{key}.")}
    assert named == {named_path("service", path) for path in paths} - {"", key}


@pytest.mark.parametrize(("section", "paths"), by_first_key("section_paths"))
def test_nested_keys_of_what_a_service_uses_are_named_with_their_paths(
    section: str, paths: list[str], project: Project
) -> None:
    uses = {"volumes": ["thing:/x"]}.get(section, ["thing"])
    file = project.root / "compose.yaml"
    file.write_text(json.dumps({"services": {"web": {section: uses}}, **with_paths(paths)}))
    named = {name for name in names(from_compose(project, file).only.left) if name.count(".") > 1}
    rests = {path: path.removeprefix(f"{section}.*.") for path in paths}
    assert named == {
        f"{section}.thing.{named_path(section, rest)}" for rest in rests.values() if named_path(section, rest)
    }


def test_what_no_service_uses_is_not_named(project: Project) -> None:
    file = project.root / "compose.yaml"
    file.write_text(
        "services: {web: {image: x}}\nnetworks: {other: {internal: true}, default: {internal: true}}"
    )
    assert from_compose(project, file).only.left == [
        "networks.default.internal: a scenario cannot set this (a network without access to others)"
    ]


def test_every_key_of_a_compose_file_is_in_the_table() -> None:
    keys = keys_of("compose")
    assert set(PUBLISHED["compose"].split()) == keys.used | set(keys.irrelevant)


def test_free_keys_of_compose_are_not_named_and_unknown_ones_are() -> None:
    builder = ContainerBuilder()
    name_unsupported_keys(builder, "service", {"x-mine": 1, "teleport": {}, "init": False})
    assert builder.left == ['the key "teleport": selab does not know it']
