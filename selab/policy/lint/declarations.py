"""Names: required ones that nothing has or nothing uses, declared ones that nothing uses, types that nothing can be done with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import Name
from selab.policy.lint.subject import ModuleUnderLint, closest

_WORDS = {"attribute_role": "role attribute", "bool": "boolean"}
DOMAIN = "domain"
"""The attribute of every type that a process may have, in refpolicy and all that come of it."""


def required(view: ModuleUnderLint) -> Iterator[Finding]:
    """What `require` blocks ask for."""
    for name in view.said.required:
        kind = _WORDS.get(name.kind, name.kind)
        if not view.knows(name.kind, name.name) and not view.said.has(name.kind, name.name):
            yield _unknown(view, name, kind)
        elif name.name in view.said.passed:
            continue  # no interface could stand for it
        elif name.name not in view.said.used:
            message = f"The {kind} '{name.name}' is required, and nothing uses it."
            yield view.finding(name.line, Severity.WARNING, "unused-require", message, "Leave it out.")
        elif name.kind == "type" and (place := _interfaces_for(view, name.name)):
            message = f"The type '{name.name}' of another module is used directly."
            yield view.finding(
                name.line,
                Severity.NOTE,
                "foreign-type",
                message,
                f"An interface keeps working when it changes: see {place}.",
            )


def _unknown(view: ModuleUnderLint, name: Name, kind: str) -> Finding:
    near = closest(name.name, view.base[name.kind])
    remedy = f"Did you mean '{near}'?" if near else ""
    if "optional_policy" in name.inside or "optional" in name.inside:
        message = f"The base policy has no {kind} '{name.name}', so this optional block never takes effect."
        return view.finding(name.line, Severity.WARNING, "unknown-require", message, remedy)
    return view.finding(
        name.line, Severity.ERROR, "unknown-require", f"The base policy has no {kind} '{name.name}'.", remedy
    )


def _interfaces_for(view: ModuleUnderLint, name: str) -> str:
    """The file of the headers with most interfaces about a type: its own module's, by refpolicy's rules."""
    files = Counter(one.file for one in view.table if ("type", name) in one.requires and "/" in one.file)
    return files.most_common(1)[0][0] if files else ""


def declared(view: ModuleUnderLint) -> Iterator[Finding]:
    """What the .te declares, itself or by a template."""
    joined = {member for member, _ in view.said.attributes}
    used = view.said.used | view.words_elsewhere
    for name in view.said.declared:
        kind = _WORDS.get(name.kind, name.kind)
        if name.name not in used and name.name not in joined:
            message = f"The {kind} '{name.name}' is declared, and nothing uses it."
            yield view.finding(
                name.line,
                Severity.WARNING,
                "unused-declaration",
                message,
                "Leave it out, or write the rule that needs it.",
            )
        elif name.kind == "type" and name.name not in joined:
            message = f"The type '{name.name}' has no attribute, so that no rule about files or domains in general holds for it."
            yield view.finding(
                name.line, Severity.WARNING, "no-attribute", message, _what_it_may_be(view, name.name)
            )
    for name in (*view.said.declared, *view.said.made):
        enters = name.name in view.said.roles or name.name in view.words_elsewhere
        if name.kind == "type" and (name.name, DOMAIN) in view.said.attributes and not enters:
            message = f"No role may have the domain '{name.name}', so no process can enter it."
            yield view.finding(
                name.line,
                Severity.WARNING,
                "no-role",
                message,
                f"Say which may: `role system_r types {name.name};`.",
            )


def _what_it_may_be(view: ModuleUnderLint, name: str) -> str:
    likely = [f"{one}({name})" for one in ("files_type", "domain_type") if one in view.table]
    return f"Call {' or '.join(likely)}." if likely else ""
