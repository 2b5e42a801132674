"""Rules as a block of a .te, in the order and form of the reference policy, between markers that find it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from selab.advice.advise import Advice
from selab.advice.remedy import Kind, Remedy
from selab.errors import InputError

BEGIN = "# selab suggest: begin (what stands here is kept, and added to)"
END = "# selab suggest: end"
_BLOCK = re.compile(r"^# selab suggest: begin.*?^# selab suggest: end[^\n]*\n", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^# selab suggest: (begin|end)", re.MULTILINE)
Chosen = Sequence[tuple[Advice, Remedy]]


def block(chosen: Chosen) -> str:
    """The chosen remedies as policy text: what others declare, own rules, other rules, the kernel layer's interfaces, all others."""
    parts = [_requirements(remedy for _, remedy in chosen)]
    for place in range(4):
        parts += sorted(_line(advice, remedy) for advice, remedy in _merged(chosen) if _place(remedy) == place)
    return "\n".join(part for part in parts if part)


def written_into(text: str, chosen: Chosen) -> str:
    """The .te `text` with the block of `chosen`, in the place of an earlier one or at the end; everything else byte for byte.

    An earlier block's lines that nothing was denied for any more are kept: they are why. Raises InputError where the markers are broken.
    """
    marks = _MARK.findall(text)
    if marks not in ([], ["begin", "end"]):
        raise InputError(
            "The markers of `selab suggest` in the policy are broken.", "One begin and one end belong together.", "Remove them."
        )
    before = _BLOCK.search(text)
    kept = _inside(before[0]) if before else ""
    fresh = _without(block(chosen), kept)
    body = "\n".join(part for part in (kept, fresh) if part)
    if not body or (before and not fresh):
        return text
    written = f"{BEGIN}\n{body}\n{END}\n"
    if before:
        return text[: before.start()] + written + text[before.end() :]
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + written


def _inside(found: str) -> str:
    return "\n".join(found.splitlines()[1:-1])


def _without(fresh: str, kept: str) -> str:
    """The entries of `fresh` that `kept` does not have: an entry is its comment with the line below."""
    known = set(kept.splitlines())
    entries = re.findall(r"(?:^# .*\n)?^(?:gen_require\(`\n(?:.*\n)*?'\)|[^#\n].*)", fresh, re.MULTILINE)
    return "\n".join(
        entry for entry in entries if entry.splitlines()[-1] not in known or entry.startswith("gen_require") and entry not in kept
    )


def _merged(chosen: Chosen) -> Chosen:
    """Each line once, with the first denial that asked for it."""
    found: dict[str, tuple[Advice, Remedy]] = {}
    for advice, remedy in chosen:
        found.setdefault(remedy.text, (advice, remedy))
    return list(found.values())


def _place(remedy: Remedy) -> int:
    if remedy.kind is Kind.RULE:
        return 0 if " self:" in remedy.text else 1
    return 2 if remedy.layer == "kernel" else 3


def _line(advice: Advice, remedy: Remedy) -> str:
    need = advice.need
    example = " ".join(part for part in (need.comm, need.path or need.detail) if part)
    asked = " ".join(f"{need} {f'({example})' if example else ''}".split())
    return f"# {_harmless(asked)}\n{remedy.text}"


def _harmless(text: str) -> str:
    """A comment of one line, without m4's quotes: they count in comments as well."""
    return "".join(character if character.isprintable() and character not in "`'" else "?" for character in text)


def _requirements(remedies: Iterable[Remedy]) -> str:
    names = sorted({pair for remedy in remedies for pair in remedy.requires})
    if not names:
        return ""
    return "gen_require(`\n" + "".join(f"\t{kind} {name};\n" for kind, name in names) + "')"
