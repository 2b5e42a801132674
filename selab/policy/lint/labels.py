"""Check the .fc: words that m4 replaces, lines that do not parse, conflicts, and paths that never match."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.fc_source import (
    FORM,
    Conflict,
    Entry,
    conflicts,
    entries,
    equivalences,
    macro_words,
    rewritten,
)
from selab.policy.lint.finding import Finding, Severity, of_error
from selab.policy.lint.subject import ModuleUnderLint, closest, text_of
from selab.policy.module import PolicyModule


def labels(module: ModuleUnderLint) -> Iterator[Finding]:
    """Check each entry as m4 leaves it: a path, an optional kind of file, and a context or `<<none>>`.

    If m4 replaces a word of a path, only that is reported, because what follows in the file may be lost.
    """
    words = list(macro_words(text_of(module.module, "fc"), module.policy))
    for word in words:
        yield module.finding(word.line, Severity.ERROR, "fc-macro", word.problem, word.remedy, ending="fc")
    if words:
        return
    try:
        own = entries(module.module, module.policy)
    except InputError as error:
        yield of_error(error, "fc-syntax", module.module.path.with_suffix(".fc"))
        return
    for entry in own:
        yield from _entry(module, entry)
    for conflict in _conflicts(module, own):
        yield module.finding(
            conflict.line, Severity.ERROR, "fc-conflict", conflict.problem, conflict.remedy, ending="fc"
        )
    yield from _equivalent(module, own)


def _conflicts(module: ModuleUnderLint, own: list[Entry]) -> list[Conflict]:
    others = [
        (f"{each.path.with_suffix('.fc')}:{entry.line}", spec)
        for each in module.module.requires
        for entry in _readable(each, module.policy)
        if (spec := entry.spec)
    ]
    return conflicts(((entry.line, spec) for entry in own if (spec := entry.spec)), others, module.policy)


def _readable(required: PolicyModule, base: BasePolicy) -> list[Entry]:
    """Return the entries of a required module; its own check reports what m4 cannot read."""
    try:
        return entries(required, base)
    except InputError:
        return []


def _equivalent(module: ModuleUnderLint, own: list[Entry]) -> Iterator[Finding]:
    """Report paths under an equivalence, unless the .fc also has the path that the guest looks up."""
    specs = {(spec.pattern, spec.kind): spec.context for entry in own if (spec := entry.spec)}
    pairs = equivalences(module.policy)
    for entry in own:
        if (spec := entry.spec) and (path := rewritten(spec.pattern, pairs)):
            if specs.get((path, spec.kind)) == spec.context:
                continue
            message = (
                f"'{spec.pattern}' never matches: the guest looks up this path as another one "
                "(`semanage fcontext -l` lists the equivalences)."
            )
            yield module.finding(
                entry.line, Severity.ERROR, "fc-equivalence", message, f"Write {path} instead.", ending="fc"
            )


def _entry(module: ModuleUnderLint, entry: Entry) -> Iterator[Finding]:
    spec = entry.spec
    if spec is None:
        message = f"This line is not a valid file context: {' '.join(entry.text.split())}"
        yield module.finding(entry.line, Severity.ERROR, "fc-syntax", message, FORM, ending="fc")
        return
    if problem := not_a_pattern(spec.pattern):
        message = f"The pattern '{spec.pattern}' is not a valid regular expression: {problem}."
        yield module.finding(entry.line, Severity.ERROR, "fc-pattern", message, ending="fc")
    name = spec.type
    if name and not module.names.has("type", name) and not module.knows("type", name):
        near = closest(
            name,
            [
                *module.base["type"],
                *(declared.name for declared in (*module.names.declared, *module.names.made)),
            ],
        )
        remedy = f"Did you mean '{near}'?" if near else "Declare it in the .te."
        message = f"The type '{name}' is not declared."
        yield module.finding(entry.line, Severity.ERROR, "fc-type", message, remedy, ending="fc")


def not_a_pattern(text: str) -> str:
    """Return why the pattern is invalid, or an empty string.

    PCRE, which evaluates the pattern, accepts more than Python, so only bracket errors count: both treat
    these alike.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(text)
    except re.error as error:
        return (
            str(error)
            if "unterminated" in str(error) or "parenthes" in str(error) or "unbalanced" in str(error)
            else ""
        )
    except (OverflowError, RecursionError):
        return ""
    return ""
