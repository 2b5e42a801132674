"""Render the data of a ScenarioBuilder as YAML in the form that people write."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from selab.host.tables import table
from selab.scaffold.container_builder import ContainerBuilder
from selab.scaffold.scenario_builder import ScenarioBuilder

KEYS = (
    "policy",
    "image",
    "service",
    "init",
    "after",
    "health",
    "label",
    "command",
    "network",
    "pid",
    "ipc",
    "ports",
    "volumes",
    "cap_add",
    "cap_drop",
    "user",
    "environment",
    "read_only",
)
"""The keys of a container in the order in which people read them."""
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
_OF_SOURCE = "The source says that this shows whether the container works."
_NO_POLICY = (
    "There is no policy of that name, so this is the base policy's own domain for containers. "
    "`selab new policy {}` writes one."
)


def scenario_text(builder: ScenarioBuilder, missing: Mapping[str, str]) -> str:
    """Render the file. `missing` has the name of the policy to write for each container that lacks one."""
    lines = [*_notes(builder.remarks), *_own_lines(builder, "description", "level")]
    if builder.is_single:
        lines += _container(builder.only, missing.get(next(iter(builder.containers)), ""))
    else:
        lines.append("containers:")
        for name, container in builder.containers.items():
            lines += [f"  {_flow(name)}:", *_indented(_container(container, missing.get(name, "")), 4)]
    lines += [*_own_lines(builder, "named_volumes"), "steps:", *_steps(builder)]
    return "\n".join([*lines, "expect:", "  denials: none"]) + "\n"


def _own_lines(builder: ScenarioBuilder, *keys: str) -> Iterator[str]:
    for key in keys:
        if key in builder.data:
            yield from _lines(key, builder.data[key])


def _container(builder: ContainerBuilder, missing: str) -> Iterator[str]:
    for key in KEYS:
        if key == "policy" and missing:
            yield from _comment(_NO_POLICY.format(missing))
        if key in builder.data:
            yield from _lines(key, builder.data[key])


def _indented(lines: Iterable[str], width: int) -> Iterator[str]:
    return (" " * width + line for line in lines)


def _notes(left: Sequence[str]) -> Iterator[str]:
    if left:
        yield "# Left out or changed:"
        yield from (f"#   {line}" for line in map(_ascii, left))


def _comment(text: str) -> list[str]:
    return [
        f"# {line}"
        for line in textwrap.wrap(_ascii(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def _ascii(text: str) -> str:
    """Convert the text to one line of ASCII."""
    return "".join(
        char if char.isprintable() else "?"
        for char in text.encode("ascii", "backslashreplace").decode("ascii")
    )


def _steps(builder: ScenarioBuilder) -> Iterator[str]:
    """Write a step for each container that goes on, with a comment unless an earlier one has the same."""
    explained: set[str] = set()
    for name, container in builder.containers.items():
        if name in builder.ending:
            continue
        comment, step = _step(container)
        if comment not in explained:
            yield from _indented(_comment(comment), 2)
        explained.add(comment)
        yield from (f"  - {step}",) if builder.is_single else (f"  - container: {_flow(name)}", f"    {step}")


def _step(builder: ContainerBuilder) -> tuple[str, str]:
    """Return a comment and the step that a working container or service passes, whatever it serves."""
    if "service" in builder.data:
        return _SERVICE_UP, "up: {}"
    if builder.step:
        return _OF_SOURCE, _flow(builder.step).removeprefix("{").removesuffix("}")
    ports = {port["container"]: port["guest"] for port in reversed(builder.data.get("ports", ()))}
    for container in (number for number in _PORTS["http"] if number in ports):
        return _HTTP, f"http: {{port: {ports[container]}, status: any, wait: true, timeout: 60}}"
    if ports:
        guest = ports[min(reversed(ports), key=_PORTS["tls"].__contains__)]
        return _TCP.format(guest), f"tcp: {{port: {guest}, wait: true, timeout: 60}}"
    return _UP, "up: {}"


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
