"""Check for names in CIL that are declared and not used, that hide others, and that stand for nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from selab.policy.language.cil_names import (
    BLOCK,
    DECLARES,
    MACRO,
    Placed,
    content,
    is_abstract,
    last,
    mentioned,
    parameters,
)
from selab.policy.lint.cil.subject import CilUnderLint, title
from selab.policy.lint.finding import Finding, Severity

_REMEDIES = {
    BLOCK: "Remove it, or inherit it with `blockinherit`.",
    MACRO: "Remove it, or add the call that needs it.",
}
_REMEDY = "Remove it, or add the rule that needs it."
_CONTAINERS = ("block", "optional", "macro")
_SCOPES = ("block", "macro")


def unused(module: CilUnderLint) -> Iterator[Finding]:
    """Report declared names that no statement of the policy mentions, but for one that others require.

    An abstract block is used if another block inherits it; any other block takes effect by itself.
    """
    if module.is_required:
        return
    used = {last(word) for each in module.statements for word in mentioned(each.statement)}
    for each in module.statements:
        statement = each.statement
        kind = DECLARES.get(statement.keyword, "")
        if not kind or statement.keyword == "typealias" or each.patterns:
            continue
        if kind == BLOCK and not is_abstract(statement):
            continue
        if last(statement.name) not in used:
            verb = "inherited" if kind == BLOCK else "called" if kind == MACRO else "used"
            message = f"The {title(statement)} '{statement.name}' is declared but not {verb}"
            remedy = _REMEDIES.get(kind, _REMEDY)
            yield module.finding(statement, Severity.WARNING, "unused-declaration", message, remedy)


def empty(module: CilUnderLint) -> Iterator[Finding]:
    """Report files, blocks, optionals and macros without a statement, and attributes without a type."""
    if not module.statements:
        message, remedy = "The policy contains no statement", "A command that writes to it may have failed."
        yield Finding(module.module.path, 1, Severity.WARNING, "empty", message, remedy)
    for each in module.statements:
        statement = each.statement
        if statement.keyword in _CONTAINERS and not content(statement):
            message = f"The {statement.keyword} '{statement.name}' contains no statement"
            yield module.finding(statement, Severity.WARNING, "empty", message, "Remove it.")
    filled = {
        last(each.statement.name)
        for each in module.every_statement
        if each.statement.keyword == "typeattributeset"
    }
    for each in module.statements:
        statement = each.statement
        if (
            statement.keyword == "typeattribute"
            and not module.is_required
            and last(statement.name) not in filled
        ):
            message = f"No type is in the attribute '{statement.name}', so rules about it have no effect"
            remedy = f"Add a type: `(typeattributeset {statement.name} (TYPE))`."
            yield module.finding(statement, Severity.WARNING, "empty", message, remedy)


def shadowed(module: CilUnderLint) -> Iterator[Finding]:
    """Report names in blocks, and parameters of macros, that hide a name of the same kind around them."""
    declared: defaultdict[tuple[str, str], dict[tuple[str, ...], int]] = defaultdict(dict)
    for each in module.statements:
        if kind := DECLARES.get(each.statement.keyword):
            declared[kind, each.statement.name].setdefault(each.scope, each.statement.line)
    for each in module.statements:
        for kind, name, word, scope, place in _inner_names(each):
            around = declared[kind, name]
            outer = next((around[scope[:end]] for end in range(len(scope)) if scope[:end] in around), 0)
            if not outer and not module.base.has_global(kind, name):
                continue
            whose = f"the one of line {outer}" if outer else "that of the base policy"
            message = f"The {word} '{name}' {place} hides {whose}"
            remedy = f"Rename it. '.{name}' would name the hidden one."
            yield module.finding(each.statement, Severity.WARNING, "shadowed-name", message, remedy)


def _inner_names(each: Placed) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """Yield what a statement declares in a block or macro: kind, name, word, scope, and place in words."""
    statement = each.statement
    if statement.keyword == "macro":
        for name, keyword in parameters(statement).items():
            if kind := DECLARES.get(keyword):
                scope = (*each.scope, statement.name)
                yield kind, name, "parameter", scope, f"of the macro '{statement.name}'"
    kind = DECLARES.get(statement.keyword, "")
    if kind and each.scope and kind not in (BLOCK, MACRO):
        yield kind, statement.name, title(statement), each.scope, f"in '{'.'.join(each.scope)}'"
