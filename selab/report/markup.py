"""Text of records, logs and files inside rich's markup."""

from __future__ import annotations

from rich.markup import escape

from selab.report.text import plain


def safe(text: str) -> str:
    """`text` without anything that a terminal acts on, or that rich reads as markup.

    A backslash at its end would escape the markup after it.
    """
    line = plain(text)
    return escape(f"{line[:-1]}\\x5c" if line.endswith("\\") else line)
