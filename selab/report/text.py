"""Text from records, logs and file names on its way to a terminal, a page or a CI system's log."""

from __future__ import annotations

import re
import unicodedata

UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide or reorder text, or that XML does not take."""
_COMMAND = re.compile(r":(?=:[A-Za-z])|#(?=#[A-Za-z]*\[)")
"""How a line of a job's log begins to be a command: `::set-env`, `##[group]` (GitHub), `##vso[` (Azure), `##teamcity[`. The latter count
anywhere in a line, and a terminal's width may break a line before the former."""


def plain(text: str) -> str:
    """`text` on one line, with everything that a terminal or a CI system would act on written as an escape (`\\x1b`)."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            char if char == " " or unicodedata.category(char) not in UNSAFE else _escaped(char)
            for char in text
        )
    return (
        _COMMAND.sub(lambda found: f"\\x{ord(found[0]):02x}", text) if "::" in text or "##" in text else text
    )


def plain_lines(text: str) -> str:
    """The same for text of several lines, in which tabs stay as well."""
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
