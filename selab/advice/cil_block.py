"""Write rules, calls and inherited blocks in CIL, into the block of the candidate, between markers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selab.advice.block import Chosen, reason, require_whole
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import IN_CIL, Remedy
from selab.auditlog.denials import shown_target
from selab.policy.language.cil_source import Statement, parse
from selab.policy.language.commands import in_cil

BEGIN = "; selab suggest: begin (what stands here is kept, and added to)"
END = "; selab suggest: end"
_MARK = re.compile(r"^[^\S\n]*; selab suggest: (begin|end)", re.MULTILINE)
_NAME = re.compile(r"[^\s()]+")
INDENTATION = "    "


def cil(chosen: Chosen, block: str = "") -> str:
    """Format what was chosen in CIL; an interface or an attribute becomes a rule.

    `block` is the block that it will stand in: the names of its types are written without it.
    """
    remedies = {advice.need: remedy for advice, remedy in chosen}
    used: set[str] = set()
    lines: list[str] = []
    for need, remedy in remedies.items():
        if remedy.kind not in IN_CIL:
            lines += (f"; {reason(need)}", *_rules(need, remedy, block))
        elif remedy.text not in used:
            used.add(remedy.text)
            lines += (f"; {reason(need)}", _within(remedy.text, block))
    return "\n".join(lines)


def _within(statement: str, block: str) -> str:
    """Format a statement as it stands in a block: the names that begin with the block's are shorter there."""
    return _NAME.sub(lambda match: match[0].removeprefix(f"{block}."), statement)


def _rules(need: DeniedAccess, remedy: Remedy, block: str) -> Iterator[str]:
    target = shown_target(need.source, need.target)
    access = " ".join(name.removeprefix(f"{block}.") for name in (need.source, target))
    permissions = remedy.permissions if remedy.commands else need.permissions
    if permissions:
        yield f"(allow {access} ({need.tclass} ({' '.join(sorted(permissions))})))"
    if remedy.commands:
        yield f"(allowx {access} (ioctl {need.tclass} {in_cil(remedy.commands)}))"


def inserted_into(text: str, chosen: Chosen, name: str) -> str:
    """Insert the rules of `chosen` into the CIL `text` of the policy `name`.

    They go to the end of the block `name`, or of the file if it has no such block, or follow the rules of an
    earlier call. All other text stays the same byte for byte. Raises InputError if the markers are broken,
    and SyntaxFault if the text is not CIL.
    """
    marks = [*_MARK.finditer(text)]
    require_whole([mark[1] for mark in marks])
    blocks = [each for each in parse(text) if each.words == ("block", name)]
    existing = text[marks[0].end() : marks[1].start()].splitlines() if marks else []
    known = {line.strip() for line in existing}
    block = blocks[-1] if blocks else None
    rules = cil(chosen, name if block else "").splitlines()
    # A rule that stands there already is left out with its comment.
    pairs = [(comment, rule) for comment, rule in _commented(rules) if rule not in known]
    if not pairs:
        return text
    indentation = INDENTATION if block else ""
    fresh = [f"{indentation}{line}" for pair in pairs for line in pair if line]
    if marks:
        end = marks[1].start()
        return text[:end] + "".join(f"{line}\n" for line in fresh) + text[end:]
    marked = [f"{indentation}{BEGIN}", *fresh, f"{indentation}{END}", ""]
    place = _end_of(text, block) if block else len(text)
    gap = "" if not place or text[:place].endswith("\n") else "\n"
    return text[:place] + gap + "\n".join(marked) + text[place:]


def _commented(rules: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each rule with the comment before it; a second rule for one access has no comment."""
    comment = ""
    for line in rules:
        if line.startswith(";"):
            comment = line
        else:
            yield comment, line
            comment = ""


def _end_of(text: str, block: Statement) -> int:
    """Return the position where the line of the block's closing parenthesis begins, or of the parenthesis."""
    closing = block.end - 1
    line = text.rfind("\n", 0, closing) + 1
    return closing if text[line:closing].strip() else line
