"""Check names: requirements that are unknown or unused, unused declarations, and unusable types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import Name
from selab.policy.lint.subject import ModuleUnderLint, closest
from selab.policy.tool_messages import orphan_problem, orphan_remedy

_WORDS = {"attribute_role": "role attribute", "bool": "boolean"}
DOMAIN = "domain"
"""In refpolicy and its descendants, every type that a process may have is in this attribute."""


def required(module: ModuleUnderLint) -> Iterator[Finding]:
    """Check the names in `require` blocks."""
    for name in module.names.required:
        kind = _WORDS.get(name.kind, name.kind)
        if not module.knows(name.kind, name.name) and not module.names.has(name.kind, name.name):
            yield _unknown(module, name, kind)
        elif name.name in module.names.passed:
            continue  # The name is an argument of a template, and no interface can replace the requirement.
        elif name.name not in module.names.used:
            message = f"The {kind} '{name.name}' is required but not used."
            yield module.finding(name.line, Severity.WARNING, "unused-require", message, "Remove it.")
        elif name.kind == "type" and (place := _interfaces_for(module, name.name)):
            message = f"The type '{name.name}' of another module is used directly."
            yield module.finding(
                name.line,
                Severity.NOTE,
                "foreign-type",
                message,
                f"An interface keeps working when it changes: see {place}.",
            )


def _unknown(module: ModuleUnderLint, name: Name, kind: str) -> Finding:
    parent = name.name.rpartition(".")[0]
    if parent and not module.knows(name.kind, parent) and not module.names.has(name.kind, parent):
        return module.finding(
            name.line,
            Severity.ERROR,
            "unknown-require",
            orphan_problem(kind, parent, name.name),
            orphan_remedy(parent, name.name),
        )
    near = closest(name.name, module.base[name.kind])
    remedy = f"Did you mean '{near}'?" if near else ""
    if "optional_policy" in name.inside or "optional" in name.inside:
        message = f"The base policy has no {kind} '{name.name}', so this optional block never takes effect."
        return module.finding(name.line, Severity.WARNING, "unknown-require", message, remedy)
    return module.finding(
        name.line, Severity.ERROR, "unknown-require", f"The base policy has no {kind} '{name.name}'.", remedy
    )


def _interfaces_for(module: ModuleUnderLint, name: str) -> str:
    """Return the header file with most interfaces about a type: by refpolicy's rules, its own module's."""
    files = Counter(
        interface.file
        for interface in module.table
        if ("type", name) in interface.requires and "/" in interface.file
    )
    return files.most_common(1)[0][0] if files else ""


def declared(module: ModuleUnderLint) -> Iterator[Finding]:
    """Check what the .te declares, itself or by a template."""
    joined = {member for member, _ in module.names.attributes}
    used = module.names.used | module.words_elsewhere
    for name in module.names.declared:
        kind = _WORDS.get(name.kind, name.kind)
        if name.name not in used and name.name not in joined:
            message = f"The {kind} '{name.name}' is declared but not used."
            yield module.finding(
                name.line,
                Severity.WARNING,
                "unused-declaration",
                message,
                "Remove it, or add the rule that needs it.",
            )
        elif name.kind == "type" and name.name not in joined:
            message, remedy = no_attribute(name.name), _attribute_calls(module, name.name)
            yield module.finding(name.line, Severity.WARNING, "no-attribute", message, remedy)
    for name in (*module.names.declared, *module.names.made):
        enters = name.name in module.names.roles or name.name in module.words_elsewhere
        if name.kind == "type" and (name.name, DOMAIN) in module.names.attributes and not enters:
            remedy = f"Add a role: `role system_r types {name.name};`."
            yield module.finding(name.line, Severity.WARNING, "no-role", no_role(name.name), remedy)


def no_attribute(name: str) -> str:
    """Return the message about a type without an attribute."""
    return f"The type '{name}' has no attribute, so no general rule about files or domains applies to it."


def no_role(name: str) -> str:
    """Return the message about a domain without a role."""
    return f"No role is allowed the domain '{name}', so no process can enter it."


def _attribute_calls(module: ModuleUnderLint, name: str) -> str:
    likely = [f"{call}({name})" for call in ("files_type", "domain_type") if call in module.table]
    return f"Call {' or '.join(likely)}." if likely else ""
