"""Check that the names which CIL refers to are declared, and that macros get their arguments."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.compile_cil import LOOKED_IN
from selab.policy.language.cil_names import (
    BLOCK,
    BOOLEAN,
    CLASS,
    CLASS_PERMISSION,
    CONTAINER,
    EXTENDED_PERMISSION,
    MACRO,
    PERMISSION,
    ROLE,
    TYPE,
    USER,
    Placed,
    Reference,
    last,
    parameters,
    placed,
    references,
)
from selab.policy.language.cil_source import Statement
from selab.policy.lint.cil.subject import CilUnderLint
from selab.policy.lint.finding import Finding, Severity
from selab.policy.module import PolicyModule

_KINDS = {
    "type": TYPE, "typealias": TYPE, "role": ROLE, "user": USER, "class": CLASS, "classmap": CLASS,
    "boolean": BOOLEAN, "tunable": BOOLEAN, "block": BLOCK, "classpermission": CLASS_PERMISSION,
    "permissionx": EXTENDED_PERMISSION,
}  # fmt: skip
"""The kinds of a macro's parameters that are names."""


def unknown(module: CilUnderLint) -> Iterator[Finding]:
    """Report names that nothing declares, also in the templates that the policy inherits.

    In a policy that compiles they are in what has no effect, so they are no errors.
    """
    templates = [each for each in module.others if each.is_template and module.plain is None]
    for source in (module.module, *templates):
        reported: set[tuple[int, str]] = set()
        given_up: set[int] = set()
        for each in placed(source.statements):
            optional = next((outer for outer in each.inside if outer.keyword == "optional"), None)
            for reference in _references(module, each):
                place = (reference.line, reference.name)
                if module.known.knows(reference) or place in reported:
                    continue
                if optional and optional.begin in given_up:
                    continue
                reported.add(place)
                given_up |= {optional.begin} if optional else set()
                yield _unknown(module, source, each, reference)


def _references(module: CilUnderLint, each: Placed) -> Iterator[Reference]:
    """Yield the names that a statement refers to, without the parameters of the macros that it is in."""
    extended = [last(outer.words[-1]) for outer in each.inside if outer.keyword == "in"]
    own = [each.parameters, *map(module.parameters_of, extended)]
    every = [*references(each.statement), *_arguments(module, each.statement)]
    return (
        reference
        for reference in every
        if not any(reference.name in names or reference.tclass in names for names in own)
    )


def _arguments(module: CilUnderLint, call: Statement) -> Iterator[Reference]:
    """Yield the names among the arguments of a call, if these are names only."""
    macro = _macro(module, call)
    if macro is None or not call.lists or call.lists[0].lists:
        return
    listed = call.lists[0]
    for keyword, word in zip(parameters(macro).values(), listed.words, strict=False):
        if (kind := _KINDS.get(keyword)) and word != "self":
            yield Reference(kind, word, listed.line)


def _macro(module: CilUnderLint, call: Statement) -> Statement | None:
    """Return the macro that is called; None if it is unknown, or one of several of this name."""
    macros = module.macros.get(last(call.name), []) if call.keyword == "call" else []
    return macros[0] if len(macros) == 1 else None


def _unknown(module: CilUnderLint, source: PolicyModule, each: Placed, reference: Reference) -> Finding:
    near = module.like(reference)
    remedy = f"Did you mean '{near}'?" if near else ""
    if not near and reference.kind in (BLOCK, MACRO, CONTAINER):
        remedy = LOOKED_IN
    severity = Severity.ERROR if module.plain is None else Severity.WARNING
    kind = "type or attribute" if reference.kind == TYPE else reference.kind
    message = f"The {kind} '{reference.name}' is not declared"
    if reference.kind == PERMISSION:
        message = f"The class '{reference.tclass}' has no permission '{reference.name}'"
    if any(outer.keyword == "optional" for outer in each.inside):
        severity = Severity.WARNING
        message += ", so this optional never takes effect"
    elif not module.used_patterns.issuperset(each.patterns):
        severity = Severity.WARNING
    return module.finding(
        each.statement, severity, "unknown-name", message, remedy, line=reference.line, of=source
    )


def arguments(module: CilUnderLint) -> Iterator[Finding]:
    """Report calls of macros with more or fewer arguments than these have parameters."""
    for each in module.statements:
        call = each.statement
        if macro := _macro(module, call):
            given = sum(len(listed.words) + len(listed.lists) for listed in call.lists[:1])
            names = parameters(macro)
            if given != len(names):
                noun = "argument" if len(names) == 1 else "arguments"
                message = f"The macro '{call.name}' takes {len(names)} {noun}, but gets {given}"
                form = f"(call {call.name} ({' '.join(names)}))" if names else f"(call {call.name})"
                yield module.finding(call, Severity.ERROR, "arguments", message, f"Call it as {form}.")
