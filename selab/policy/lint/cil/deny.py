"""Check for deny rules in CIL that some versions of libsepol ignore."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.language.cil import OPERATORS
from selab.policy.language.cil_source import walk
from selab.policy.lint.cil.subject import CilUnderLint
from selab.policy.lint.finding import Finding, Severity


def deny(module: CilUnderLint) -> Iterator[Finding]:
    """Report deny rules with an expression in place of permissions.

    libsepol 3.6 to 3.8 take nothing away for them (libsepol/cil, cil_post.c: 3.9 evaluates them).
    """
    for each in module.statements:
        rule = each.statement
        words = (word for access in rule.lists[:1] for part in walk(access.lists) for word in part.words)
        if rule.keyword == "deny" and not OPERATORS.isdisjoint(words):
            message = "libsepol before 3.9 ignores a deny rule with an expression of permissions"
            remedy = "Name the permissions, or a class permission that stands for them."
            yield module.finding(rule, Severity.WARNING, "deny-expression", message, remedy)
