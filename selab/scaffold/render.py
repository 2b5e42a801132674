"""A draft of a scenario as people would have written it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from selab.run.request import NO_POLICY
from selab.scaffold.scenario_builder import ScenarioBuilder

KEYS = (
    "description",
    "policy",
    "image",
    "command",
    "ports",
    "volumes",
    "cap_add",
    "cap_drop",
    "user",
    "environment",
    "read_only",
)
"""In the order in which people read them."""
WEB = frozenset({80, 3000, 5000, 8000, 8008, 8080, 8081, 8888})
"""Ports of a container at which something usually speaks HTTP."""
WIDTH = 130
_PAGE = "The page that shows that it works; `contains` and `status` say what it must be."
_ASKING = "What shows that it works? A pattern in its output, or a command in it: `exec: {argv: [redis-cli, ping], contains: PONG}`."
_NO_POLICY = "No policy of that name is there, so this is the base policy's own domain for containers. `selab new policy {}` writes one."


def scenario_text(name: str, draft: ScenarioBuilder, *, asked: bool) -> str:
    """The text of the file, which holds what the draft does. `asked`: for the policy that it has."""
    lines = list(_notes(draft.left))
    for key in KEYS:
        if key == "policy" and draft.data[key] == NO_POLICY and not asked:
            lines += _comment(_NO_POLICY.format(name))
        if key in draft.data:
            lines += _written(key, draft.data[key])
    return "\n".join([*lines, "steps:", *_steps(draft), "expect:", "  denials: none"]) + "\n"


def _notes(left: Sequence[str]) -> Iterator[str]:
    if left:
        yield "# Left out, or other than it was:"
        yield from (f"#   {line}" for line in map(_ascii, left))


def _comment(text: str, indent: str = "") -> list[str]:
    return [
        f"{indent}# {line}"
        for line in textwrap.wrap(_ascii(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def _ascii(text: str) -> str:
    """On one line, whatever it was."""
    return "".join(
        char if char.isprintable() else "?"
        for char in text.encode("ascii", "backslashreplace").decode("ascii")
    )


def _steps(draft: ScenarioBuilder) -> list[str]:
    web = next((port["guest"] for port in draft.data.get("ports", ()) if port["container"] in WEB), None)
    if web:
        return [*_comment(_PAGE, "  "), f"  - http: {{port: {web}, wait: true, timeout: 60}}"]
    return [*_comment(_ASKING, "  "), '  - log: {pattern: "."}']


def _written(key: str, value: Any) -> list[str]:
    """A key as people write it: each port and volume on a line of its own, each variable as well."""
    if isinstance(value, dict):
        return [f"{key}:", *(f"  {_flow(name)}: {_flow(one)}" for name, one in value.items())]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{key}:", *(f"  - {_flow(one)}" for one in value)]
    return [f"{key}: {_flow(value)}"]


class _Dumper(yaml.SafeDumper):
    """YAML on one line, in ASCII."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represented)


def _flow(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("...\n").rstrip("\n")
