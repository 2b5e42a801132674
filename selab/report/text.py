"""Text from records, logs and file names on its way to a terminal, a page or a CI system's log."""

from __future__ import annotations

import re
import unicodedata

UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide or reorder text, or are not allowed in XML."""
_COMMAND = re.compile(r":(?=:[A-Za-z])|#(?=#[A-Za-z]*\[)")
"""The start of a command in a job's log: `::set-env`, `##[group]` (GitHub), `##vso[` (Azure), `##teamcity[`.
The latter are commands anywhere in a line, and a terminal's width may break a line before the former."""


def plain(text: str) -> str:
    """`text` on one line. What a terminal or a CI system would act on becomes an escape such as `\\x1b`."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            char if char == " " or unicodedata.category(char) not in UNSAFE else _escaped(char)
            for char in text
        )
    if "::" in text or "##" in text:
        text = _COMMAND.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text


def plain_lines(text: str) -> str:
    """Apply `plain` to each line of `text`. Line feeds and tabs stay."""
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
