"""Check for rules in CIL that grant more than they show."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.language.cil_names import last
from selab.policy.language.cil_source import Statement, walk
from selab.policy.lint.cil.subject import CilUnderLint
from selab.policy.lint.finding import Finding, Severity

_WILD = ("all", "not")


def wildcards(module: CilUnderLint) -> Iterator[Finding]:
    """Report `all` and `not`, whose effect changes with the kernel's classes and the policy's types.

    They count in the permissions of allow rules, and as a whole attribute that an allow rule names.
    """
    allows = [each.statement for each in module.statements if each.statement.keyword == "allow"]
    for rule in allows:
        if sign := _sign(access.lists for access in rule.lists[:1]):
            message = f"An allow rule with '{sign}' grants more than it names"
            remedy = "Name the permissions that are needed."
            yield module.finding(rule, Severity.WARNING, "wildcard", message, remedy)
    allowed = {last(word) for rule in allows for word in rule.words[1:3]}
    for each in module.statements:
        members = each.statement
        if members.keyword == "typeattributeset" and last(members.name) in allowed:
            sign = next((part.keyword for part in members.lists[:1] if part.keyword in _WILD), "")
            if sign or members.words[2:3] == ("all",):
                message = f"An allow rule about the attribute '{members.name}' grants more than it names"
                remedy = "Name the types that are needed."
                yield module.finding(members, Severity.WARNING, "wildcard", message, remedy)


def _sign(parts: Iterator[tuple[Statement, ...]]) -> str:
    """Return the first wildcard in the permissions of a rule, or an empty string."""
    return next((word for lists in parts for each in walk(lists) for word in each.words if word in _WILD), "")
