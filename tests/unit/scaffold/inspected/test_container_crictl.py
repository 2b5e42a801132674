"""A container of `crictl inspect` becomes a scenario; what does not is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selab.errors import InputError
from selab.project import Project
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.inspected.container import add_container
from selab.scaffold.inspected.output import parse_container

STATUS = {"metadata": {"name": "web"}, "image": {"image": "web:1"}}


def described(
    project: Project, status: dict[str, Any], info: dict[str, Any] | None = None
) -> ContainerBuilder:
    text = json.dumps({"status": STATUS | status, "info": info or {}})
    builder = ContainerBuilder()
    add_container(builder, project, parse_container(text.encode(), "x.json"), None)
    return builder


@pytest.mark.parametrize(
    ("security", "status", "process", "user"),
    [
        ({"run_as_user": {"value": 1000}}, {}, {}, "1000"),
        ({"run_as_user": {"value": 0}}, {"user": {"linux": {"uid": "5"}}}, {}, "0"),
        ({"run_as_user": {"value": 1000}, "run_as_group": {"value": 0}}, {}, {}, "1000:0"),
        ({"run_as_username": "nginx"}, {"user": {"linux": {"uid": "101", "gid": "101"}}}, {}, "nginx"),
        ({}, {"user": {"linux": {"uid": "101", "gid": "102"}}}, {"user": {"uid": 7}}, "101:102"),
        ({}, {}, {"user": {"uid": 101, "gid": 0}}, "101:0"),
        ({}, {"user": {"linux": {"uid": "0", "gid": "0"}}}, {"user": {"uid": 0, "gid": 0}}, None),
    ],
)
def test_the_user_is_taken(
    security: Any, status: Any, process: Any, user: str | None, project: Project
) -> None:
    info = {"config": {"linux": {"security_context": security}}, "runtimeSpec": {"process": process}}
    assert described(project, status, info).data.get("user") == user


@pytest.mark.parametrize(
    ("linux", "named"),
    [
        ({"resources": {"memory_limit_in_bytes": 64}}, ["limits of memory"]),
        ({"resources": {"cpu_period": 100000, "cpu_shares": 2, "oom_score_adj": 1000}}, []),
        ({"resources": {"hugepage_limits": [{"page_size": "2MB"}]}}, []),
        ({"security_context": {"namespace_options": {"pid": 1}}}, []),
        ({"security_context": {"namespace_options": {"network": 2}}}, ["network (2 is the node's)"]),
        (
            {"security_context": {"selinux_options": {"user": "u", "role": "r"}}},
            ["user of the label", "role of the label"],
        ),
        ({"security_context": {"seccomp": {"profile_type": 1}}}, ["seccomp profile"]),
        (
            {"security_context": {"capabilities": {"add_ambient_capabilities": ["X"]}}},
            ["ambient capabilities"],
        ),
        ({"security_context": {"surprise": 1}}, ['the key "linux.security_context.surprise"']),
    ],
)
def test_settings_that_a_scenario_cannot_have_are_named(
    linux: Any, named: list[str], project: Project
) -> None:
    left = described(project, {}, {"config": {"linux": linux}}).left
    assert [line.partition(": ")[0] for line in left] == named


def test_limits_are_named_once(project: Project) -> None:
    status = {"resources": {"linux": {"memoryLimitInBytes": "64"}}}
    config = {"linux": {"resources": {"memory_limit_in_bytes": 64}}}
    assert [len(described(project, status, info).left) for info in ({}, {"config": config})] == [1, 1]


def test_a_mount_of_an_image_is_named(project: Project) -> None:
    mount = {"containerPath": "/x", "image": {"image": "a"}, "imageSubPath": "b", "uidMappings": []}
    left = described(project, {"mounts": [mount]}).left
    assert {"an image as a volume", "a part of an image"} <= {line.partition(": ")[0] for line in left}


def test_mounts_that_are_no_list_are_refused() -> None:
    text = json.dumps({"status": STATUS | {"mounts": 5}}).encode()
    with pytest.raises(InputError, match="Expected the description of a container") as error:
        parse_container(text, "file")
    assert "`status.mounts` is not a list" in error.value.detail
