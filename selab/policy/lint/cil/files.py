"""Check the file contexts in CIL: patterns that do not compile, and paths that never match."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.fc_source import equivalences, rewritten
from selab.policy.lint.cil.subject import CilUnderLint
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.labels import not_a_pattern


def files(module: CilUnderLint) -> Iterator[Finding]:
    """Check the path of each `filecon` statement."""
    statements = [each.statement for each in module.statements if each.statement.keyword == "filecon"]
    if not statements:
        return
    pairs = equivalences(module.policy)
    for statement in statements:
        pattern = statement.name.strip('"')
        if problem := not_a_pattern(pattern):
            message = f"The pattern is not a valid regular expression ({problem})"
            yield module.finding(statement, Severity.ERROR, "fc-pattern", message)
        if path := rewritten(pattern, pairs):
            message = (
                "This path never matches, because the guest looks it up as another one "
                "(`semanage fcontext -l` lists the equivalences)"
            )
            yield module.finding(
                statement, Severity.ERROR, "fc-equivalence", message, f"Write {path} instead."
            )
