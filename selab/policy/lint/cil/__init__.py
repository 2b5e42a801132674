"""Check the text of a policy in CIL for what its author should know before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from selab.policy.lint.cil.deny import deny
from selab.policy.lint.cil.files import files
from selab.policy.lint.cil.subject import CilUnderLint, names_of_base
from selab.policy.lint.cil.types import types
from selab.policy.lint.cil.unknown import arguments, unknown
from selab.policy.lint.cil.unused import empty, shadowed, unused
from selab.policy.lint.cil.wildcards import wildcards
from selab.policy.lint.finding import Finding

CHECKS: tuple[Callable[[CilUnderLint], Iterator[Finding]], ...] = (
    unknown,
    arguments,
    unused,
    empty,
    shadowed,
    wildcards,
    deny,
    files,
    types,
)

UNUSED = "unused-declaration"
FOR_USED = ("empty", "no-attribute")

__all__ = ["CilUnderLint", "lint_cil", "names_of_base"]


def lint_cil(module: CilUnderLint) -> list[Finding]:
    """Return all findings about a policy in CIL, in the order of its lines, and then about its templates."""
    findings = [finding for check in CHECKS for finding in check(module)]
    # What is not used may as well lack an attribute or members.
    unused_lines = {each.line for each in findings if each.id == UNUSED}
    findings = [each for each in findings if each.id not in FOR_USED or each.line not in unused_lines]
    own = module.module.path
    return sorted(findings, key=lambda finding: (finding.file != own, finding.file, finding.line))
