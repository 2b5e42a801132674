"""Rules as a block of a .te, in the order and form of the reference policy, between markers that find it again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.auditlog.denials import shown_target
from selab.errors import InputError

BEGIN = "# selab suggest: begin (what stands here is kept, and added to)"
END = "# selab suggest: end"
_BLOCK = re.compile(r"^# selab suggest: begin.*?^# selab suggest: end[^\n]*\n", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^# selab suggest: (begin|end)", re.MULTILINE)
Chosen = Sequence[tuple[Advice, Remedy]]


def block(chosen: Chosen, required: Collection[str] = ()) -> str:
    """The chosen remedies as policy text: what others declare, own rules, other rules, the kernel layer's interfaces, all others.

    `required` are lines of what is declared for them already.
    """
    first = {remedy.text: (advice, remedy) for advice, remedy in reversed(chosen)}
    entries = sorted((_place(remedy), _line(advice, remedy)) for advice, remedy in first.values())
    return "\n".join(
        [*_requirements((remedy for _, remedy in chosen), required), *(line for _, line in entries)]
    )


def cil(chosen: Chosen) -> str:
    """The same for a domain that CIL's blocks have named (`web.process`, as udica makes them): rules in CIL, which has no interfaces."""
    return "\n".join(
        f"; {_asked(need)}\n{_cil_rule(need)}" for need in dict.fromkeys(advice.need for advice, _ in chosen)
    )


def _cil_rule(need: DeniedAccess) -> str:
    return f"(allow {need.source} {shown_target(need.source, need.target)} ({need.tclass} ({' '.join(sorted(need.permissions))})))"


def inserted_into(text: str, chosen: Chosen) -> str:
    """The .te `text` with the block of `chosen`, in the place of an earlier one or at the end; everything else byte for byte.

    An earlier block's lines that nothing was denied for any more are kept: they are why. Raises InputError where the markers are broken.
    """
    marks = _MARK.findall(text)
    if marks not in ([], ["begin", "end"]):
        raise InputError(
            "The markers of `selab suggest` in the policy are broken.",
            "One begin and one end belong together.",
            "Remove them.",
        )
    before = _BLOCK.search(text)
    kept = before[0].split("\n")[1:-2] if before else []
    fresh = block([(advice, remedy) for advice, remedy in chosen if remedy.text not in kept], kept)
    if not fresh:
        return text
    written = "\n".join([BEGIN, *kept, fresh, END, ""])
    if before:
        return text[: before.start()] + written + text[before.end() :]
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + written


def _place(remedy: Remedy) -> int:
    if remedy.kind is Kind.RULE:
        return 0 if " self:" in remedy.text else 1
    return 2 if remedy.layer == "kernel" else 3


def _line(advice: Advice, remedy: Remedy) -> str:
    return f"# {_asked(advice.need)}\n{remedy.text}"


def _asked(need: DeniedAccess) -> str:
    example = " ".join(part for part in (need.comm, need.path or need.detail) if part)
    return _harmless(" ".join(f"{need} {f'({example})' if example else ''}".split()))


def _harmless(text: str) -> str:
    """A comment of one line, without m4's quotes: they count in comments as well."""
    return "".join(
        character if character.isprintable() and character not in "`'" else "?" for character in text
    )


def _requirements(remedies: Iterable[Remedy], required: Collection[str]) -> list[str]:
    lines = sorted(
        {f"\t{kind} {name};" for remedy in remedies for kind, name in remedy.requires} - {*required}
    )
    return ["gen_require(`", *lines, "')"] if lines else []
