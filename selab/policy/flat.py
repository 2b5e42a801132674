"""Build the flat base: a module store's CIL as one file without optionals, which links quickly.

`secil2tree` resolves the store and removes optionals whose requirements fail. The wrappers of the others and
the `cil_gen_require` statements then have no effect and are removed, and repeated statements are merged. Of
blocks, which modules that are written in CIL have, the content stays, with qualified names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from selab.policy.language.cil_tree import plain_statements

REQUIRE = re.compile(r"\((?:type|role)attributeset cil_gen_require \(?([^()]+)\)?\)")
RULE = re.compile(r"\((allow|dontaudit|auditallow) (\S+) (\S+) \((\S+) \(([^()]+)\)\)\)")
MEMBERS = re.compile(r"\((typeattributeset|roleattributeset) (\S+) \(([^()]+)\)\)")
OPERATORS = frozenset({"and", "or", "xor", "not", "all", "range"})
"""A list that begins with one of these words is an expression (secilc's CIL reference, "expr")."""
REPEATABLE = frozenset(
    {"(roletype", "(roleallow", "(typetransition", "(rangetransition", "(filecon", "(role"}
)
_BLOCK = re.compile(r"^\((?:block|macro|in|call) ", re.MULTILINE)
DECLARATION = re.compile(
    r"^[^\S\n]*\((?:type|typealias|typeattribute|role|roleattribute|boolean) (\S+?)\)", re.MULTILINE
)


def without_repeated_roles(modules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield (name, CIL) pairs with each `(role X)` line once: secil2tree rejects repetitions."""
    seen: set[str] = set()
    for name, cil in modules:
        lines = []
        for line in cil.splitlines():
            if line.startswith("(role "):
                if line in seen:
                    continue
                seen.add(line)
            lines.append(line)
        yield name, "\n".join(lines) + "\n"


def flatten(resolved: str) -> str:
    """Convert the output of `secil2tree --ast-phase=resolve` to a flat base."""
    if _BLOCK.search(resolved):
        resolved = "\n".join(plain_statements(resolved.splitlines()))
    rules: dict[tuple[str, ...], dict[str, None]] = {}
    members: dict[tuple[str, str], dict[str, None]] = {}
    rest: list[str] = []
    once: set[str] = set()
    for statement in _statements(resolved):
        if rule := RULE.fullmatch(statement):
            kind, source, target, tclass, permissions = rule.groups()
            words = permissions.split()
            if words[0] not in OPERATORS:
                rules.setdefault((kind, source, target, tclass), {}).update(dict.fromkeys(words))
                continue
        elif member := MEMBERS.fullmatch(statement):
            kind, attribute, names = member.groups()
            words = names.split()
            if words[0] not in OPERATORS:
                members.setdefault((kind, attribute), {}).update(dict.fromkeys(words))
                continue
        if statement.split(" ", 1)[0] in REPEATABLE:
            if statement in once:
                continue
            once.add(statement)
        rest.append(statement)
    lines = list(rest)
    lines += [f"({kind} {attribute} ({' '.join(names)}))" for (kind, attribute), names in members.items()]
    lines += [
        f"({kind} {source} {target} ({tclass} ({' '.join(words)})))"
        for (kind, source, target, tclass), words in rules.items()
    ]
    return "\n".join(lines) + "\n"


def _statements(resolved: str) -> Iterator[str]:
    """Yield the statements without the wrappers of optionals, each on one line."""
    open_optionals = 0
    held: list[str] = []
    depth = 0
    for raw in resolved.splitlines():
        line = raw.strip()
        if not line or line.startswith(";"):
            continue
        if held:
            held.append(line)
            depth += _balance(line)
            if depth == 0:
                yield " ".join(held)
                held = []
            continue
        if line == ")":
            open_optionals -= 1
            continue
        balance = _balance(line)
        if line.startswith("(optional "):
            open_optionals += balance
        elif balance:
            held, depth = [line], balance
        elif not REQUIRE.fullmatch(line):
            yield line


def _balance(line: str) -> int:
    if '"' in line:
        line = re.sub(r'"[^"]*"', "", line)
    return line.count("(") - line.count(")")


def dangling_names(modules: Iterable[str]) -> frozenset[str]:
    """Return the names that the store's optionals require and nothing declares.

    A candidate that declares such a name enables the optional, which the flat base does not contain. It must
    be linked with the whole store.
    """
    required: set[str] = set()
    declared: set[str] = set()
    for cil in modules:
        for match in REQUIRE.finditer(cil):
            required.update(match.group(1).split())
        declared.update(DECLARATION.findall(cil))
    return frozenset(required - declared)
