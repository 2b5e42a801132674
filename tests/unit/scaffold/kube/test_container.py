"""The program, variables, ports, user and label of a container are taken over as Kubernetes means them."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.kube.container import add_container
from selab.scaffold.kube.manifest import Workload


def taken(fields: dict[str, Any], pod: dict[str, Any] | None = None) -> ContainerBuilder:
    builder = ContainerBuilder()
    config_maps = {"conf": {"A": "b", "DB_PASSWORD": "hunter2"}}
    workload = Workload("Pod/web", pod or {}, "spec", {}, False, config_maps, {})
    add_container(builder, workload, fields)
    return builder


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"image": "web"}, {"image": "web:latest"}),
        ({"args": ["a", "$(A)", "$$(A)", "$(B)"]}, {"command": ["a", "$(A)", "$(A)", "$(B)"]}),
        ({"env": [{"name": "A", "value": "b"}]}, {"environment": {"A": "b"}}),
        ({"env": [{"name": "A"}]}, {"environment": {"A": ""}}),
        (
            {"env": [{"name": "A", "value": "b"}, {"name": "C", "value": "$(A)c"}], "args": ["$(C)"]},
            {"environment": {"A": "b", "C": "bc"}, "command": ["bc"]},
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "A"}}}]},
            {"environment": {"X": "b"}},
        ),
        ({"ports": [{"containerPort": 80, "hostPort": 8001}]}, {"ports": [{"guest": 8001, "container": 80}]}),
        (
            {"ports": [{"containerPort": 8001, "protocol": None}]},
            {"ports": [{"guest": 8001, "container": 8001}]},
        ),
        ({"securityContext": {"runAsUser": 5, "runAsGroup": 6}}, {"user": "5:6"}),
        ({"securityContext": {"runAsUser": 0}}, {"user": "0"}),
        ({"securityContext": {"readOnlyRootFilesystem": True}}, {"read_only": True}),
        (
            {"securityContext": {"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}},
            {"cap_add": ["CHOWN"], "cap_drop": ["ALL"]},
        ),
        ({"securityContext": {"seLinuxOptions": {"type": "web_t"}}}, {"label": {"type": "web_t"}}),
    ],
)
def test_what_a_scenario_has_is_taken(fields: dict[str, Any], data: dict[str, Any]) -> None:
    builder = taken(fields)
    assert (builder.data, builder.left) == (data, [])


def test_what_the_pod_sets_counts_unless_the_container_sets_it() -> None:
    pod = {"securityContext": {"runAsUser": 5, "seLinuxOptions": {"type": "a_t", "level": "s0:c1"}}}
    assert taken({}, pod).data == {"user": "5", "label": {"type": "a_t", "level": "s0:c1"}}
    own = {"securityContext": {"runAsUser": 6, "seLinuxOptions": {"type": "b_t"}}}
    assert taken(own, pod).data == {"user": "6", "label": {"type": "b_t"}}


def test_the_variables_of_a_config_map_are_taken_without_secrets() -> None:
    builder = taken({"envFrom": [{"configMapRef": {"name": "conf"}, "prefix": "P_"}]})
    assert builder.data == {"environment": {"P_A": "b"}}
    (line,) = builder.left
    assert line.startswith('envFrom "P_DB_PASSWORD": ')
    assert "hunter2" not in line


def test_a_command_with_a_variable_that_is_left_out_is_left_out() -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter2"}]
    builder = taken({"env": env, "args": ["--db", "$(DB_PASSWORD)"]})
    assert "command" not in builder.data
    assert builder.left[-1] == "command: it uses the variable DB_PASSWORD, which is left out"


def test_a_command_comes_before_its_arguments_and_is_named_as_changed() -> None:
    builder = taken({"command": ["web"], "args": ["-x"]})
    assert (builder.data["command"], len(builder.left)) == (["web", "-x"], 1)


@pytest.mark.parametrize("port", [0, 65536, "http", True, None, [80]])
def test_a_port_that_cannot_be_is_named(port: Any) -> None:
    builder = taken({"ports": [{"containerPort": port}]})
    assert ("ports" in builder.data, len(builder.left)) == (False, 1)
