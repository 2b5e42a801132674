"""Convert a store's local modifications (`semanage port`, `node`, `interface`, `setsebool -P`) to CIL.

libsemanage stores them as text, one per line, and applies them after the modules are linked (libsemanage:
src/ports_file.c, nodes_file.c, interfaces_file.c, booleans_file.c). A local modification replaces the
policy's statement with the same key.
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
    """The local modifications of a store.

    statements: CIL statements by their key, which is their text before the context.
    booleans: values by name.
    left_out: files with modifications that CIL beside the modules cannot express (`users.local`: CIL allows
        one definition of a user).
    """

    statements: Mapping[str, str]
    booleans: Mapping[str, bool]
    left_out: tuple[str, ...]

    def applied(self, cil: str) -> str:
        """Return `cil`, of one module or all, with the booleans set and without replaced statements."""
        lines = cil.splitlines()
        if self.statements:
            lines = [line for line in lines if not " ".join(line.split()).startswith(tuple(self.statements))]
        if self.booleans:
            lines = [_BOOLEAN.sub(self._value, line) if "(boolean " in line else line for line in lines]
        return "\n".join(lines) + "\n"

    def _value(self, match: re.Match[str]) -> str:
        value = self.booleans.get(match[1])
        return match[0] if value is None else f"(boolean {match[1]} {str(value).lower()})"

    @property
    def cil(self) -> str:
        """Return the statements, to be linked with the modules."""
        return "".join(f"{statement}\n" for statement in self.statements.values())


NO_POLICY = frozenset({"file_contexts.local", "seusers.local", "users_extra.local"})
"""These files are not part of the kernel policy."""
_BOOLEAN = re.compile(r"\(boolean (\w+) (?:true|false)\)")


def local_modifications(files: Mapping[str, bytes]) -> LocalModifications:
    """Read the store's local files, `files` by name; a file with an unknown line is listed in `left_out`."""
    statements: dict[str, str] = {}
    booleans: dict[str, bool] = {}
    left_out = set()
    for name, data in sorted(files.items()):
        if name in NO_POLICY:
            continue
        for line in data.decode("utf-8", "replace").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE[name].fullmatch(line.strip()) if name in _LINE else None
            if match is None:
                left_out.add(name)
            elif name == "booleans.local":
                booleans[match["name"]] = match["value"] == "1"
            else:
                key, rest = _statement(name, match)
                statements[key] = f"{key}{rest}"
    return LocalModifications(statements, booleans, tuple(sorted(left_out)))


def _statement(name: str, match: re.Match[str]) -> tuple[str, str]:
    context = f"{_context(match['context'])})"
    if name == "ports.local":
        low, high = match["low"], match["high"]
        ports = low if high in (None, low) else f"({low} {high})"
        return f"(portcon {match['protocol']} {ports} ", context
    if name == "nodes.local":
        return f"(nodecon ({match['address']}) ({match['mask']}) ", context
    return f"(netifcon {match['name']} ", f"{_context(match['context'])} {_context(match['packets'])})"


def _context(text: str) -> str:
    """Convert `u:r:t:s0-s0:c1` to a CIL context; without MLS the context still has a level."""
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
