"""The place in the candidate's source that a denial belongs to, which a reviewer can click on."""

from __future__ import annotations

import re


def line_of(type_name: str, te: str) -> int:
    """The line of the `.te`, counted from 1, that declares the domain `type_name` or calls its template.

    Otherwise the first line that names it, or 1.
    """
    prefix = re.escape(type_name.removesuffix("_t"))
    patterns = (
        rf"^[^\S\n]*type\s+{re.escape(type_name)}\b",
        rf"^[^\S\n]*\w+_template\(\s*{prefix}\b",
        rf"\b{re.escape(type_name)}\b",
    )
    for pattern in patterns:
        if match := re.search(pattern, te, re.MULTILINE):
            return te.count("\n", 0, match.end()) + 1
    return 1
