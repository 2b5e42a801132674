"""Text of records, logs and files inside rich's markup."""

from __future__ import annotations

from rich.markup import escape

from selab.report.text import plain


def safe(text: str) -> str:
    """`text` as something that a terminal neither acts on nor takes for markup."""
    return escape(plain(text))
