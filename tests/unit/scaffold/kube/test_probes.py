"""A probe becomes a health check or a step."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.kube.probes import add_probes

PORTS = [{"name": "http", "containerPort": 80}]


def probed(probe: Any, *, is_single: bool = False, key: str = "readinessProbe") -> ContainerBuilder:
    builder = ContainerBuilder()
    add_probes(builder, {"ports": PORTS, key: probe}, is_single=is_single)
    return builder


@pytest.mark.parametrize(
    ("probe", "step"),
    [
        ({"httpGet": {"port": 80, "path": "/ok"}}, {"http": {"port": 8080, "path": "/ok"}}),
        ({"httpGet": {"port": "http", "path": "/ok"}}, {"http": {"port": 8080, "path": "/ok"}}),
        ({"httpGet": {"port": "80"}}, {"http": {"port": 8080, "path": "/", "status": "any"}}),
        ({"httpGet": {"port": 80, "scheme": "HTTPS"}}, {"tcp": {"port": 8080}}),
        ({"tcpSocket": {"port": 80}}, {"tcp": {"port": 8080}}),
    ],
)
def test_a_request_or_a_connection_is_the_step(probe: dict[str, Any], step: dict[str, Any]) -> None:
    builder = probed(probe)
    ((kind, fields),) = step.items()
    assert builder.step == {kind: {**fields, "wait": True, "timeout": 60}}
    assert (builder.data, builder.left) == ({"ports": [{"guest": 8080, "container": 80}]}, [])


def test_the_readiness_counts_before_the_liveness() -> None:
    builder = ContainerBuilder()
    probes = {"livenessProbe": {"tcpSocket": {"port": 1}}, "readinessProbe": {"tcpSocket": {"port": 2}}}
    add_probes(builder, probes, is_single=True)
    assert builder.data["ports"] == [{"guest": 8002, "container": 2}]


@pytest.mark.parametrize(
    ("times", "health"),
    [({}, {}), ({"initialDelaySeconds": 60}, {"timeout": 90}), ({"periodSeconds": 10**9}, {"timeout": 3600})],
)
def test_a_command_is_the_health_check(times: dict[str, Any], health: dict[str, Any]) -> None:
    builder = probed({"exec": {"command": ["check"]}, **times})
    assert (builder.data, builder.left) == ({"health": {"command": ["check"], **health}}, [])


def test_the_same_command_is_taken_once_and_another_one_is_named() -> None:
    builder = ContainerBuilder()
    names = ("readinessProbe", "startupProbe", "livenessProbe")
    commands = dict(zip(names, ("a", "a", "b"), strict=True))
    probes = {key: {"exec": {"command": [word]}} for key, word in commands.items()}
    add_probes(builder, probes, is_single=False)
    assert builder.data["health"] == {"command": ["a"]}
    assert [line.partition(":")[0] for line in builder.left] == ["livenessProbe.exec"]


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {}},
        {"exec": {"command": ["check", "--password=hunter2"]}},
        {"httpGet": {"port": "other"}},
        {"httpGet": {"port": 80, "host": "a.example"}},
        {"httpGet": {"port": 80, "path": "no"}},
        {"tcpSocket": {"port": 0}},
        {"tcpSocket": {}},
        {"grpc": {"port": 80}},
    ],
)
def test_a_probe_that_cannot_be_is_named_without_a_secret(probe: dict[str, Any]) -> None:
    builder = probed(probe)
    assert (builder.step, "health" in builder.data, len(builder.left)) == ({}, False, 1)
    assert "hunter2" not in builder.left[0]


def test_a_single_container_has_no_health_check() -> None:
    builder = probed({"exec": {"command": ["check"]}}, is_single=True)
    assert (builder.data, len(builder.left)) == ({}, 1)
