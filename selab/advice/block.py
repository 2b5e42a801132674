"""Write rules as a marked block of a .te, in the reference policy's order and form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.errors import InputError

BEGIN = "# selab suggest: begin (what stands here is kept, and added to)"
END = "# selab suggest: end"
_BLOCK = re.compile(r"^# selab suggest: begin.*?^# selab suggest: end[^\n]*\n", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^# selab suggest: (begin|end)", re.MULTILINE)
Chosen = Sequence[tuple[Advice, Remedy]]


def block(chosen: Chosen, required: Collection[str] = ()) -> str:
    """Format the chosen remedies as policy text.

    The order is: required names, attributes of the domain and rules about it, other rules, interfaces of
    the kernel layer, other interfaces. `required` are the requirement lines that the block has already.
    """
    first = {remedy.text: (advice, remedy) for advice, remedy in reversed(chosen)}
    entries = sorted((_place(remedy), _line(advice, remedy)) for advice, remedy in first.values())
    return "\n".join(
        [*_requirements((remedy for _, remedy in chosen), required), *(line for _, line in entries)]
    )


def inserted_into(text: str, chosen: Chosen) -> str:
    """Insert the block of `chosen` into the .te `text`, in place of an earlier block or at the end.

    All other text stays the same byte for byte. Lines of an earlier block stay: they are why nothing was
    denied. Raises InputError if the markers are broken.
    """
    require_whole(_MARK.findall(text))
    before = _BLOCK.search(text)
    existing = before[0].split("\n")[1:-2] if before else []
    fresh = block(
        [(advice, remedy) for advice, remedy in chosen if not {*remedy.text.split("\n")} <= {*existing}],
        existing,
    )
    if not fresh:
        return text
    written = "\n".join([BEGIN, *existing, fresh, END, ""])
    if before:
        return text[: before.start()] + written + text[before.end() :]
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + written


def require_whole(marks: Sequence[str]) -> None:
    """Raise InputError unless a file has no markers, or a `begin` and then an `end`."""
    if marks not in ([], ["begin", "end"]):
        raise InputError(
            "The markers of `selab suggest` in the policy are broken.",
            "The text must have one begin marker, followed by one end marker.",
            "Remove the markers and run the command again.",
        )


def _place(remedy: Remedy) -> int:
    if remedy.kind is Kind.ATTRIBUTE:
        return 0
    if remedy.kind is Kind.RULE:
        return 0 if " self:" in remedy.text else 1
    return 2 if remedy.layer == "kernel" else 3


def _line(advice: Advice, remedy: Remedy) -> str:
    return f"# {reason(advice.need)}\n{remedy.text}"


def reason(need: DeniedAccess) -> str:
    """Format a denied access as a comment: who asked for what, on one line."""
    example = " ".join(part for part in (need.comm, need.path or need.detail) if part)
    return _harmless(" ".join(f"{need} {f'({example})' if example else ''}".split()))


def _harmless(text: str) -> str:
    """Format a comment of one line without m4's quotes, which m4 evaluates in comments too."""
    return "".join(
        character if character.isprintable() and character not in "`'" else "?" for character in text
    )


def _requirements(remedies: Iterable[Remedy], required: Collection[str]) -> list[str]:
    lines = sorted(
        {f"\t{kind} {name};" for remedy in remedies for kind, name in remedy.requires} - {*required}
    )
    return ["gen_require(`", *lines, "')"] if lines else []
