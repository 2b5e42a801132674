"""Read the names, lines, parameters and summaries of interfaces from an .if file.

Only m4 can expand what an interface grants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

DEFINITION = re.compile(r"^[^\S\n]*(interface|template)\s*\(\s*`(\w+)'", re.MULTILINE)
_DOCUMENTED = re.compile(r"^\s*##($|\s.*)")
_PARAMETER = re.compile(r"\$([1-9])")
_COMMENT = re.compile(r"#.*")
_LONGEST_COMMENT = 20_000


@dataclass(frozen=True, slots=True)
class Heading:
    """An interface or template as its file documents it.

    name: name of the interface.
    kind: `interface` or `template`.
    file: path relative to the headers' include directory, or the name of the user's own file.
    line: line of the definition, counted from 1.
    summary: text of the `<summary>` comment.
    parameters: their names. A parameter that the body uses and no comment names is called `$3`, as in the
        body.
    required: number of leading parameters that a call must give: up to the last one that the body uses and
        that its comment does not mark as optional.
    """

    name: str
    kind: str
    file: str
    line: int
    summary: str
    parameters: tuple[str, ...]
    required: int


def headings(text: str, file: str) -> Iterator[Heading]:
    """Yield the interfaces and templates that `text`, of the file named `file`, defines."""
    definitions = list(DEFINITION.finditer(text))
    ends = [*(match.start() for match in definitions), len(text)][1:]
    line, before = 1, 0
    for match, end in zip(definitions, ends, strict=True):
        at = match.start(1)
        line += text.count("\n", before, at)
        summary, named, required = _documentation(_comment_between(text, before, at))
        before = at
        body = _COMMENT.sub("", text[match.end() : end])
        used = max((int(digit) for digit in _PARAMETER.findall(body)), default=0)
        parameters = (*named, *(f"${number}" for number in range(len(named) + 1, used + 1)))
        needed = min(required, used) if named else used
        yield Heading(match[2], match[1], file, line, summary, parameters, needed)


def _comment_between(text: str, before: int, at: int) -> list[str]:
    """Return the XML of the `##` comments that end at `at` and begin after the definition at `before`.

    refpolicy frames them with lines of `#` only.
    """
    lines: list[str] = []
    for line in reversed(text[max(before, at - _LONGEST_COMMENT) : at].splitlines()):
        if (documented := _DOCUMENTED.match(line)) is not None:
            lines.append(documented[1])
        elif line.strip().strip("#"):
            break
    return lines[::-1]


def _documentation(lines: list[str]) -> tuple[str, tuple[str, ...], int]:
    """Return the summary, the parameter names and how many are required; malformed XML gives none."""
    try:
        root = ElementTree.fromstring(f"<doc>{' '.join(lines)}</doc>")
    except ElementTree.ParseError:
        return "", (), 0
    parameters = root.findall("param")
    optional = [parameter.get("optional") == "true" for parameter in parameters]
    required = max((number for number, may_lack in enumerate(optional, 1) if not may_lack), default=0)
    summary = " ".join("".join(node.itertext()) for node in root.findall("summary")[-1:])
    return " ".join(summary.split()), tuple(parameter.get("name", "?") for parameter in parameters), required
