"""The .fc: lines that do not parse, and contexts of types that nothing declares."""

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
"""Lines of m4 around the others, such as "ifdef(`distro_debian',`" and "')"."""


def labels(view: ModuleUnderLint) -> Iterator[Finding]:
    """file_contexts(5): a pattern, one kind of file or none, and a context or `<<none>>`."""
    for number, line in enumerate(text_of(view.module, "fc").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#") and not _MACROS.match(text):
            yield from _line(view, number, text)


def _line(view: ModuleUnderLint, number: int, text: str) -> Iterator[Finding]:
    found = _LINE.fullmatch(text)
    context = _CONTEXT.match(found["context"]) if found else None
    if (
        found is None
        or not (context or found["context"] == "<<none>>")
        or not found["pattern"].startswith(_BEGINS)
    ):
        message = f"This is no line of file contexts: {' '.join(text.split())}"
        remedy = "Write: /path(/.*)?  --  gen_context(system_u:object_r:TYPE,s0), without `--` for every kind of file."
        yield view.finding(number, Severity.ERROR, "fc-syntax", message, remedy, ending="fc")
        return
    if problem := _not_a_pattern(found["pattern"]):
        message = f"The pattern '{found['pattern']}' is no regular expression: {problem}."
        yield view.finding(number, Severity.ERROR, "fc-pattern", message, ending="fc")
    name = context["type"] if context else ""
    if name and "$" not in name and not view.said.has("type", name) and not view.knows("type", name):
        near = closest(
            name, [*view.base["type"], *(one.name for one in (*view.said.declared, *view.said.made))]
        )
        remedy = f"Did you mean '{near}'?" if near else "Declare it in the .te."
        yield view.finding(
            number, Severity.ERROR, "fc-type", f"Nothing declares the type '{name}'.", remedy, ending="fc"
        )


def _not_a_pattern(text: str) -> str:
    """Why the pattern is none, or nothing. PCRE, which decides, knows more than Python; brackets are the same to both."""
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
