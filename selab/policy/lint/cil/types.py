"""Check that the types which CIL declares can be used: by general rules, and by a role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from selab.policy.language.cil import OPERATORS
from selab.policy.language.cil_source import parse, walk
from selab.policy.lint.cil.subject import CilUnderLint
from selab.policy.lint.declarations import DOMAIN, no_attribute, no_role
from selab.policy.lint.finding import Finding, Severity


@dataclass
class _Types:
    """The types of plain CIL, those in an attribute, in the attribute `domain`, and with a role."""

    declared: list[str] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)


def types(module: CilUnderLint) -> Iterator[Finding]:
    """Report types without an attribute, and domains without a role, in what the policy compiles to.

    Blocks that it inherits have their part in that.
    """
    if module.plain is None:
        return
    declarations = _types(module.plain)
    lines = {
        ".".join((*each.scope, each.statement.name)): each.statement.line
        for each in module.statements
        if each.statement.keyword in ("block", "type")
    }
    for name in declarations.declared:
        line = lines.get(name, lines.get(name.rpartition(".")[0], 0))
        if name not in declarations.joined:
            remedy = f"Add it to one: `(typeattributeset file_type ({name}))`."
            yield Finding(
                module.module.path, line, Severity.WARNING, "no-attribute", no_attribute(name), remedy
            )
        if name in declarations.domains - declarations.entered:
            remedy = f"Add a role: `(roletype system_r {name})`."
            yield Finding(module.module.path, line, Severity.WARNING, "no-role", no_role(name), remedy)


def _types(plain: str) -> _Types:
    declarations = _Types()
    for statement in parse(plain):
        match statement.keyword:
            case "type":
                declarations.declared.append(statement.name)
            case "roletype":
                declarations.entered.update(statement.words[2:])
            case "typeattributeset":
                members = {word for each in walk((statement,)) for word in each.words}
                declarations.joined |= members - OPERATORS
                declarations.domains |= members if statement.name == DOMAIN else set()
    return declarations
