"""The place in the candidate's source that a denial belongs to, which a reviewer can click on."""

from __future__ import annotations

import re


def line_of(type_name: str, source: str) -> int:
    """The line of the source, counted from 1, that declares the domain `type_name`.

    A line that calls its template, or begins its block in CIL, counts too.

    Otherwise the first line that names it, or 1.
    """
    prefix = re.escape(type_name.removesuffix("_t"))
    patterns = (
        rf"^[^\S\n]*type\s+{re.escape(type_name)}\b",
        rf"^[^\S\n]*\w+_template\(\s*{prefix}\b",
        rf"^\(block {re.escape(type_name.partition('.')[0])}\b",
        rf"\b{re.escape(type_name)}\b",
    )
    for pattern in patterns:
        if match := re.search(pattern, source, re.MULTILINE):
            return source.count("\n", 0, match.end()) + 1
    return 1
