"""Read the probes of a container of a Kubernetes pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.secret import refuse_secrets_within
from selab.scaffold.values import fields_of, objects_of, scalar
from selab.scenario.container import HEALTH_TIMEOUT
from selab.scenario.steps import HttpStep

_PROBES = ("readinessProbe", "startupProbe", "livenessProbe")
"""The probes in the order in which they say whether the container works."""
_DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "failureThreshold": 3}
_LONGEST = 3600


def add_probes(builder: ContainerBuilder, fields: Mapping[str, Any], *, is_single: bool) -> None:
    """Make the container's health check of a command, and its step of a request or a connection."""
    for key in _PROBES:
        probe = fields_of(fields, key)
        if not probe:
            continue
        name_unsupported_keys(builder, "kube_probe", probe, f"{key}.")
        if "exec" in probe:
            with builder.trying(f"{key}.exec"):
                _add_health(builder, probe, is_single=is_single)
        elif not builder.step and ("httpGet" in probe or "tcpSocket" in probe):
            with builder.trying(key):
                builder.step = _step(builder, probe, fields)


def _add_health(builder: ContainerBuilder, probe: Mapping[str, Any], *, is_single: bool) -> None:
    command = fields_of(probe, "exec").get("command")
    words = [scalar(item) for item in command] if isinstance(command, list) else []
    if "health" in builder.data and builder.data["health"]["command"] == words:
        return
    if not words:
        raise ValueError("it has no command")
    if is_single:
        raise ValueError("a scenario with a single container has no health check")
    if "health" in builder.data:
        raise ValueError("a container of a scenario has one health check")
    refuse_secrets_within(words)
    delay, period, failures = (_times(probe, key) for key in _DEFAULTS)
    limit = delay + period * failures
    timeout = {"timeout": min(limit, _LONGEST)} if limit > HEALTH_TIMEOUT else {}
    builder.set("health", {"command": words, **timeout})


def _times(probe: Mapping[str, Any], key: str) -> int:
    value = probe.get(key)
    return value if isinstance(value, int) else _DEFAULTS[key]


def _step(builder: ContainerBuilder, probe: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step for a probe, whose port is published. Raises ValueError if there is no such step."""
    request = fields_of(probe, "httpGet")
    target = request or fields_of(probe, "tcpSocket")
    if target.get("host"):
        raise ValueError(f"it asks another host, {quoted(target['host'])}")
    if builder.data.get("network") == "host":
        raise ValueError("its port is the guest's own, so a step cannot show that the container answers")
    guest = _published(builder, _number(target.get("port"), fields))
    if not request or request.get("scheme") == "HTTPS":
        return {"tcp": {"port": guest, "wait": True, "timeout": 60}}
    path = request.get("path") or "/"
    # A probe also accepts a redirection, with which the first page often answers.
    status = {"status": "any"} if path == "/" else {}
    step = {"port": guest, "path": path, **status, "wait": True, "timeout": 60}
    HttpStep.model_validate(step)
    return {"http": step}


def _number(port: Any, fields: Mapping[str, Any]) -> int:
    for each in objects_of(fields.get("ports")):
        if port is not None and each.get("name") == port:
            port = each.get("containerPort")
            break
    text = scalar(port)
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:6]) < 65536:
        raise ValueError(f"{quoted(port)} is not a port")
    return int(text[:6])


def _published(builder: ContainerBuilder, container: int) -> int:
    """Return the guest's port for a port of the container, which is published if it is not yet."""
    for _ in range(2):
        for port in builder.data.get("ports", ()):
            if port["container"] == container:
                return int(port["guest"])
        builder.port(container, None)
    raise AssertionError
