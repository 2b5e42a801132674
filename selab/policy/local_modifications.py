"""Local changes of a policy store (`semanage port`, `node`, `interface`, `setsebool -P`), as CIL beside the store's modules.

libsemanage keeps them as text, a change a line, and puts them into the policy after the modules are linked (libsemanage:
src/ports_file.c, nodes_file.c, interfaces_file.c, booleans_file.c; a local change replaces the policy's own of the same key).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = {
    "ports.local": re.compile(
        r"portcon (?P<protocol>\w+) (?P<low>\d+)(?:\s*-\s*(?P<high>\d+))? (?P<context>\S+)"
    ),
    "nodes.local": re.compile(
        r"nodecon (?:ipv4|ipv6) (?P<address>[0-9a-fA-F.:]+) (?P<mask>[0-9a-fA-F.:]+) (?P<context>\S+)"
    ),
    "interfaces.local": re.compile(r"netifcon (?P<name>\S+) (?P<context>\S+) (?P<packets>\S+)"),
    "booleans.local": re.compile(r"(?P<name>\w+)\s*=\s*(?P<value>[01])"),
}


@dataclass(frozen=True)
class LocalModifications:
    """`statements` are CIL by their key, the words before the context; `booleans` are values by name; `left_out` are files with changes
    that cannot be said in CIL beside the modules (`users.local`: a second definition of a user is an error there)."""

    statements: Mapping[str, str]
    booleans: Mapping[str, bool]
    left_out: tuple[str, ...]

    def applied(self, cil: str) -> str:
        """`cil`, of one module or of all, with its booleans set and without the statements that a local one replaces."""
        lines = cil.splitlines()
        if self.statements:
            lines = [line for line in lines if not " ".join(line.split()).startswith(tuple(self.statements))]
        if self.booleans:
            lines = [_BOOLEAN.sub(self._value, line) if "(boolean " in line else line for line in lines]
        return "\n".join(lines) + "\n"

    def _value(self, found: re.Match[str]) -> str:
        value = self.booleans.get(found[1])
        return found[0] if value is None else f"(boolean {found[1]} {str(value).lower()})"

    @property
    def cil(self) -> str:
        """The statements, to be linked with the modules."""
        return "".join(f"{statement}\n" for statement in self.statements.values())


NO_POLICY = frozenset({"file_contexts.local", "seusers.local", "users_extra.local"})
"""Local changes that are no part of the kernel's policy."""
_BOOLEAN = re.compile(r"\(boolean (\w+) (?:true|false)\)")


def local_modifications(files: Mapping[str, bytes]) -> LocalModifications:
    """Read the store's local files, `files` by name. A line that is not understood leaves its file among those left out."""
    statements: dict[str, str] = {}
    booleans: dict[str, bool] = {}
    left_out = set()
    for name, data in sorted(files.items()):
        if name in NO_POLICY:
            continue
        for line in data.decode("utf-8", "replace").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            found = _LINE[name].fullmatch(line.strip()) if name in _LINE else None
            if found is None:
                left_out.add(name)
            elif name == "booleans.local":
                booleans[found["name"]] = found["value"] == "1"
            else:
                key, rest = _statement(name, found)
                statements[key] = f"{key}{rest}"
    return LocalModifications(statements, booleans, tuple(sorted(left_out)))


def _statement(name: str, found: re.Match[str]) -> tuple[str, str]:
    context = f"{_context(found['context'])})"
    if name == "ports.local":
        low, high = found["low"], found["high"]
        ports = low if high in (None, low) else f"({low} {high})"
        return f"(portcon {found['protocol']} {ports} ", context
    if name == "nodes.local":
        return f"(nodecon ({found['address']}) ({found['mask']}) ", context
    return f"(netifcon {found['name']} ", f"{_context(found['context'])} {_context(found['packets'])})"


def _context(text: str) -> str:
    """`u:r:t:s0-s0:c1` as CIL writes a context; without MLS a level is written all the same."""
    user, role, kind, *level = text.split(":", 3)
    low, _, high = (level[0] if level else "s0").partition("-")
    return f"({user} {role} {kind} ({_level(low)} {_level(high or low)}))"


def _level(text: str) -> str:
    sensitivity, _, categories = text.partition(":")
    if not categories:
        return f"({sensitivity})"
    parts = [
        f"(range {low} {high})" if high else low
        for low, _, high in (part.partition(".") for part in categories.split(","))
    ]
    return f"({sensitivity} ({' '.join(parts)}))"
