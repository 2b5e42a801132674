"""Text of records, logs and files inside rich's markup."""

from __future__ import annotations

from rich.markup import escape

from selab.report.text import plain


def safe(text: str) -> str:
    """`text` as something that a terminal neither acts on nor takes for markup, nor makes something else of the markup after it."""
    said = plain(text)
    return escape(f"{said[:-1]}\\x5c" if said.endswith("\\") else said)
