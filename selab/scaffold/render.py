"""Render the data of a ContainerBuilder as YAML in the form that people write."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from selab.host.tables import table
from selab.project import new_policy_name
from selab.run.request import NO_POLICY
from selab.scaffold.container_builder import ContainerBuilder

KEYS = (
    "description",
    "policy",
    "image",
    "service",
    "label",
    "command",
    "ports",
    "volumes",
    "cap_add",
    "cap_drop",
    "user",
    "environment",
    "read_only",
)
"""The keys in the order in which people read them."""
_PORTS = table("scaffold/names.toml")["port"]
WIDTH = 130
_HTTP = "This request shows that the container answers; `status` and `contains` set what the answer must be."
_TCP = (
    "The container listens here. If it speaks HTTP, a request shows more: "
    "`http: {{port: {}, status: any, wait: true}}`."
)
_UP = (
    "This shows only that the container keeps running. If it is to end, write `exit: {code: 0}`. A command "
    "in it shows more, such as `exec: {argv: [redis-cli, ping], contains: PONG}`."
)
_SERVICE_UP = (
    "This shows only that the service keeps running. If it listens on a port, "
    "`tcp: {port: 8080, wait: true}` shows more, and so does a command in the guest, such as "
    "`guest: {argv: [redis-cli, ping], contains: PONG}`."
)
_NO_POLICY = (
    "There is no policy of that name, so this is the base policy's own domain for containers. "
    "`selab new policy {}` writes one."
)


def scenario_text(name: str, builder: ContainerBuilder, *, requested: bool) -> str:
    """Render the file. `requested` says whether the user chose the policy."""
    lines = list(_notes(builder.left))
    for key in KEYS:
        if key == "policy" and builder.data[key] == NO_POLICY and not requested:
            lines += _comment(_NO_POLICY.format(new_policy_name(name)))
        if key in builder.data:
            lines += _lines(key, builder.data[key])
    return "\n".join([*lines, "steps:", *_steps(builder), "expect:", "  denials: none"]) + "\n"


def _notes(left: Sequence[str]) -> Iterator[str]:
    if left:
        yield "# Left out or changed:"
        yield from (f"#   {line}" for line in map(_ascii, left))


def _comment(text: str, indent: str = "") -> list[str]:
    return [
        f"{indent}# {line}"
        for line in textwrap.wrap(_ascii(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def _ascii(text: str) -> str:
    """Convert the text to one line of ASCII."""
    return "".join(
        char if char.isprintable() else "?"
        for char in text.encode("ascii", "backslashreplace").decode("ascii")
    )


def _steps(builder: ContainerBuilder) -> list[str]:
    """Write the step that a container or service which works passes, whatever it serves."""
    if "service" in builder.data:
        return [*_comment(_SERVICE_UP, "  "), "  - up: {}"]
    ports = {port["container"]: port["guest"] for port in reversed(builder.data.get("ports", ()))}
    for container in (number for number in _PORTS["http"] if number in ports):
        step = f"  - http: {{port: {ports[container]}, status: any, wait: true, timeout: 60}}"
        return [*_comment(_HTTP, "  "), step]
    if ports:
        guest = ports[min(reversed(ports), key=_PORTS["tls"].__contains__)]
        return [*_comment(_TCP.format(guest), "  "), f"  - tcp: {{port: {guest}, wait: true, timeout: 60}}"]
    return [*_comment(_UP, "  "), "  - up: {}"]


def _lines(key: str, value: Any) -> list[str]:
    """Render a key: each port, volume and variable on a line of its own."""
    if isinstance(value, dict):
        return [f"{key}:", *(f"  {_flow(name)}: {_flow(item)}" for name, item in value.items())]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
    return [f"{key}: {_flow(value)}"]


class _Dumper(yaml.SafeDumper):
    """Writes YAML on one line, in ASCII."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represented)


def _flow(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("...\n").rstrip("\n")
