"""Text from records, logs and file names on its way to a terminal or a page."""

from __future__ import annotations

import unicodedata

UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide or reorder text."""


def plain(text: str) -> str:
    """`text` on one line, with everything that a terminal would act on written as an escape (`\\x1b`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char == " " or unicodedata.category(char) not in UNSAFE else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
