"""What the text of an .if file says of its interfaces: names, lines, parameters, summaries. What they grant, m4 alone can say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

DEFINITION = re.compile(r"^\s*(interface|template)\s*\(\s*`(\w+)'", re.MULTILINE)
_DOCUMENTED = re.compile(r"^\s*##($|\s.*)")
_PARAMETER = re.compile(r"\$([1-9])")
_COMMENT = re.compile(r"#.*")
_LONGEST_COMMENT = 20_000


@dataclass(frozen=True, slots=True)
class Heading:
    """An interface or template as its file announces it. `kind` is `interface` or `template`; `file` is relative to the headers' include
    directory, or the name of the user's own file. The first `required` of its `parameters` must be given: up to the last that its comment
    does not call optional, if its body uses them.

    A parameter that the body uses and no comment names is called as in the body, `$3`.
    """

    name: str
    kind: str
    file: str
    line: int
    summary: str
    parameters: tuple[str, ...]
    required: int


def headings(text: str, file: str) -> Iterator[Heading]:
    """The interfaces and templates that `text`, of the file named `file`, defines."""
    found = list(DEFINITION.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    for match, end in zip(found, ends, strict=True):
        at = match.start(1)
        summary, named, required = _documentation(_comment_before(text, at))
        body = _COMMENT.sub("", text[match.end() : end])
        used = max((int(digit) for digit in _PARAMETER.findall(body)), default=0)
        parameters = (*named, *(f"${number}" for number in range(len(named) + 1, used + 1)))
        needed = min(required, used) if named else used
        yield Heading(match[2], match[1], file, text.count("\n", 0, at) + 1, summary, parameters, needed)


def _comment_before(text: str, at: int) -> list[str]:
    """The XML of the `##` comments right before `at`; refpolicy puts them between lines of `#` only."""
    lines: list[str] = []
    for line in reversed(text[max(0, at - _LONGEST_COMMENT) : at].splitlines()):
        if (documented := _DOCUMENTED.match(line)) is not None:
            lines.append(documented[1])
        elif line.strip().strip("#"):
            break
    return lines[::-1]


def _documentation(lines: list[str]) -> tuple[str, tuple[str, ...], int]:
    """Summary, names of the parameters, and how many of them must be given; nothing where the comment is no XML."""
    try:
        root = ElementTree.fromstring(f"<doc>{' '.join(lines)}</doc>")
    except ElementTree.ParseError:
        return "", (), 0
    parameters = root.findall("param")
    optional = [parameter.get("optional") == "true" for parameter in parameters]
    required = max((number for number, may_lack in enumerate(optional, 1) if not may_lack), default=0)
    summary = " ".join("".join(node.itertext()) for node in root.findall("summary")[-1:])
    return " ".join(summary.split()), tuple(parameter.get("name", "?") for parameter in parameters), required
