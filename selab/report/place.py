"""Where in the candidate's source a denial belongs: what a reviewer clicks on."""

from __future__ import annotations

import re


def line_of(type_name: str, te: str) -> int:
    """The line (from 1) of the `.te` that brings in the domain `type_name`: its declaration, or the template that makes it; else 1."""
    prefix = re.escape(type_name.removesuffix("_t"))
    patterns = (
        rf"^\s*type\s+{re.escape(type_name)}\b",
        rf"^\s*\w+_template\(\s*{prefix}\b",
        rf"\b{re.escape(type_name)}\b",
    )
    for pattern in patterns:
        if found := re.search(pattern, te, re.MULTILINE):
            return te.count("\n", 0, found.end()) + 1
    return 1
