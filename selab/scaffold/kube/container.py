"""Read a container of a Kubernetes pod: its program, variables, ports, user and label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.image_config import quoted
from selab.scaffold.import_keys import name_unsupported_keys
from selab.scaffold.kube.manifest import Workload
from selab.scaffold.values import fields_of, objects_of, scalar

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_PER_CONTAINER = ("seLinuxOptions", "runAsUser", "runAsGroup")
"""What a container's `securityContext` sets in the place of the pod's."""


def add_container(builder: ContainerBuilder, workload: Workload, fields: Mapping[str, Any]) -> None:
    """Take over a container, apart from its volumes and probes."""
    name_unsupported_keys(builder, "kube_container", fields)
    if fields.get("image"):
        with builder.trying(f"image {quoted(fields['image'])}"):
            builder.image(scalar(fields["image"]))
    missing = _add_variables(builder, workload, fields)
    _add_command(builder, fields, missing)
    _add_security(builder, workload, fields)
    if not workload.pod.get("hostNetwork"):
        for port in objects_of(fields.get("ports")):
            with builder.trying(f"ports {quoted(port.get('containerPort'))}"):
                _add_port(builder, port)


def _add_port(builder: ContainerBuilder, port: Mapping[str, Any]) -> None:
    if port.get("protocol") not in (None, "TCP"):
        raise ValueError("a scenario publishes TCP ports only")
    number, host_port = port.get("containerPort"), port.get("hostPort")
    if not is_port(number):
        raise ValueError("it is not a port")
    builder.port(number, host_port if is_port(host_port) else None)


def is_port(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _add_variables(builder: ContainerBuilder, workload: Workload, fields: Mapping[str, Any]) -> set[str]:
    """Take over the variables, and return the names of those whose values are left out."""
    names = []
    for source in objects_of(fields.get("envFrom")):
        config = fields_of(source, "configMapRef").get("name")
        data = workload.config_maps.get(str(config))
        if data is None:
            named = f"ConfigMap {quoted(config)}" if config else "a Secret"
            builder.leave("envFrom", f"the variables of {named} are not in the scenario")
        for key, value in (data or {}).items():
            names.append(f"{source.get('prefix') or ''}{key}")
            with builder.trying(f"envFrom {quoted(names[-1])}"):
                builder.variable(names[-1], _expanded(scalar(value), builder, set()))
    for entry in objects_of(fields.get("env")):
        names.append(str(entry.get("name")))
        with builder.trying(f"env {quoted(names[-1])}"):
            builder.variable(names[-1], _value_of(builder, workload, entry))
    return set(names) - set(builder.data.get("environment", {}))


def _value_of(builder: ContainerBuilder, workload: Workload, entry: Mapping[str, Any]) -> str:
    if entry.get("valueFrom") is None:
        value = entry.get("value")
        return _expanded("" if value is None else scalar(value), builder, set())
    source = fields_of(entry, "valueFrom")
    reference = fields_of(source, "configMapKeyRef")
    data = workload.config_maps.get(str(reference.get("name")), {})
    if str(reference.get("key")) in data:
        return scalar(data[str(reference["key"])])
    raise ValueError(f"selab does not read {quoted(next(iter(source), 'valueFrom'))}")


def _expanded(text: str, builder: ContainerBuilder, missing: set[str]) -> str:
    """Replace `$(NAME)` by the value of the variable, as Kubernetes does; an unknown one stays as it is.

    Raises ValueError if a variable's value is left out.
    """
    known: Mapping[str, str] = builder.data.get("environment", {})

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if match[1] in missing:
            raise ValueError(f"it uses the variable {match[1][:80]}, which is left out")
        return known.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def _add_command(builder: ContainerBuilder, fields: Mapping[str, Any], missing: set[str]) -> None:
    with builder.trying("command"):
        entrypoint, args = (_words(fields.get(key)) for key in ("command", "args"))
        words = [_expanded(word, builder, missing) for word in entrypoint + args]
        if words:
            builder.command(words)
        if entrypoint:
            builder.leave("command", "if the image has an entrypoint, it gets the command as its arguments")


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("it is not a list")
    return [scalar(item) for item in value]


def _add_security(builder: ContainerBuilder, workload: Workload, fields: Mapping[str, Any]) -> None:
    own = fields_of(fields, "securityContext")
    name_unsupported_keys(builder, "kube_security", own, "securityContext.")
    of_pod = fields_of(workload.pod, "securityContext")
    security = {**{key: of_pod[key] for key in _PER_CONTAINER if key in of_pod}, **own}
    if security.get("readOnlyRootFilesystem") is True:
        builder.set("read_only", value=True)
    for key, names in (("cap_add", "add"), ("cap_drop", "drop")):
        value = fields_of(security, "capabilities").get(names)
        for capability in value if isinstance(value, list) else ():
            with builder.trying(f"securityContext.capabilities.{names} {quoted(capability)}"):
                builder.add(key, scalar(capability))
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    if user is not None:
        with builder.trying("securityContext.runAsUser"):
            builder.set("user", scalar(user) if group is None else f"{scalar(user)}:{scalar(group)}")
    elif group is not None:
        builder.leave("securityContext.runAsGroup", "a scenario sets a group only with a user")
    label: dict[str, str] = {}
    options = fields_of(security, "seLinuxOptions")
    for key in ("type", "level"):
        # A level that all containers have is the scenario's.
        is_common = key == "level" and "seLinuxOptions" not in own and _has_several(workload)
        if options.get(key) and not is_common:
            with builder.trying(f"securityContext.seLinuxOptions.{key}"):
                builder.set("label", {**label, key: scalar(options[key])})
                label[key] = scalar(options[key])


def _has_several(workload: Workload) -> bool:
    return sum(len(objects_of(workload.pod.get(key))) for key in ("containers", "initContainers")) > 1
