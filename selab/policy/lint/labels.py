"""Check the .fc: lines that do not parse, and contexts with undeclared types."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.subject import ModuleUnderLint, closest, text_of

_LINE = re.compile(
    r"(?P<pattern>[^\s#]\S*)(?:\s+(?P<kind>-[-bcdpls]))?\s+(?P<context>gen_context\(.+\)|<<none>>|[^\s(]+)"
)
_CONTEXT = re.compile(r"(?:gen_context\(\s*`?)?[\w$]+:[\w$]+:(?P<type>[\w$]+)")
_BEGINS = ("/", "HOME_DIR", "HOME_ROOT")
_MACROS = re.compile(r"(?:ifn?def|ifelse|define)\(|['`,)\s]+(?:dnl.*)?$|dnl\b")
"""Lines of m4 around the entries, such as "ifdef(`distro_debian',`" and "')"."""


def labels(module: ModuleUnderLint) -> Iterator[Finding]:
    """Check each line: a pattern, an optional kind of file, a context or `<<none>>` (file_contexts(5))."""
    for number, line in enumerate(text_of(module.module, "fc").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#") and not _MACROS.match(text):
            yield from _line(module, number, text)


def _line(module: ModuleUnderLint, number: int, text: str) -> Iterator[Finding]:
    match = _LINE.fullmatch(text)
    context = _CONTEXT.match(match["context"]) if match else None
    if (
        match is None
        or not (context or match["context"] == "<<none>>")
        or not match["pattern"].startswith(_BEGINS)
    ):
        message = f"This line is not a valid file context: {' '.join(text.split())}"
        remedy = (
            "Write: /path(/.*)?  --  gen_context(system_u:object_r:TYPE,s0), "
            "without `--` for every kind of file."
        )
        yield module.finding(number, Severity.ERROR, "fc-syntax", message, remedy, ending="fc")
        return
    if problem := _not_a_pattern(match["pattern"]):
        message = f"The pattern '{match['pattern']}' is not a valid regular expression: {problem}."
        yield module.finding(number, Severity.ERROR, "fc-pattern", message, ending="fc")
    name = context["type"] if context else ""
    if name and "$" not in name and not module.names.has("type", name) and not module.knows("type", name):
        near = closest(
            name,
            [
                *module.base["type"],
                *(declared.name for declared in (*module.names.declared, *module.names.made)),
            ],
        )
        remedy = f"Did you mean '{near}'?" if near else "Declare it in the .te."
        yield module.finding(
            number, Severity.ERROR, "fc-type", f"The type '{name}' is not declared.", remedy, ending="fc"
        )


def _not_a_pattern(text: str) -> str:
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
