"""Advice as its reader sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console

from selab.advice.advise import Advice
from selab.advice.remedy import Kind, Remedy
from selab.advice.selinux_error import remedy_of
from selab.policy.query.risk import Level
from selab.report.markup import safe
from selab.run.document import SelinuxErrorEntry

COLOURS = {Level.LOW: "green", Level.MEDIUM: "yellow", Level.HIGH: "red"}


def show_advice(advice: Iterable[Advice], out: Console) -> None:
    """Each denial in words, what stopped it, and the remedies, the best first."""
    for one in advice:
        out.print(f"[bold]{one.need.number}.[/bold] {safe(str(one.need))}", soft_wrap=True)
        out.print(f"   {safe(one.need.in_words)}.", soft_wrap=True)
        if one.allowed_now:
            out.print("   [green]The policy as it is on disk now allows it.[/green]")
            continue
        out.print(f"   What stopped it: {safe(one.stopped)}.", soft_wrap=True)
        for remedy in one.remedies:
            _show_remedy(remedy, out)


def _show_remedy(remedy: Remedy, out: Console) -> None:
    level = remedy.risk.level
    danger = (
        ""
        if remedy.kind is Kind.LEAVE or level is Level.LOW
        else f"[{COLOURS[level]}]risk {level}[/]: {safe(remedy.risk.reason)}"
    )
    said = "; ".join(part for part in (safe(remedy.why), remedy.more, danger) if part)
    out.print(f"   {remedy.kind.value:9} {safe(remedy.text)}", soft_wrap=True)
    if said:
        out.print(f"             [dim]{said}[/dim]", soft_wrap=True)


def show_errors(errors: Iterable[SelinuxErrorEntry], out: Console) -> None:
    """What SELinux reported without a denial: what it means, and what could be done."""
    for error in errors:
        out.print(f"[red]SELinux error[/red]: {safe(error.meaning)}", soft_wrap=True)
        remedy = remedy_of(error.kind, error.source, error.target, error.invalid_context)
        out.print(f"   {safe(remedy)}", soft_wrap=True)


def show_in_brief(advice: Sequence[Advice], out: Console) -> None:
    """Each denial's best remedy in a line, one line for all that share it."""
    numbers: dict[str, list[int]] = {}
    for one in advice:
        numbers.setdefault(_in_brief(one), []).append(one.need.number)
    width = max((len(_listed(each)) for each in numbers.values()), default=0)
    for line, each in numbers.items():
        out.print(f"  [dim]{_listed(each):>{width}}[/dim]  {safe(line)}", soft_wrap=True)


def _in_brief(one: Advice) -> str:
    """A rule that says what the denial says is not said again."""
    best = one.best
    if one.allowed_now or best is None or best.kind is not Kind.RULE:
        return one.in_a_line
    return f"a rule for it{best.danger}"


def _listed(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def document(advice: Iterable[Advice]) -> list[dict[str, object]]:
    """The advice as JSON."""
    return [
        {
            "number": one.need.number,
            "source": one.need.source,
            "target": one.need.target,
            "class": one.need.tclass,
            "permissions": sorted(one.need.permissions),
            "hidden": one.need.hidden,
            "asked": one.need.in_words,
            "stopped": one.stopped,
            "allowed_now": one.allowed_now,
            "remedies": [_remedy(remedy) for remedy in one.remedies],
        }
        for one in advice
    ]


def _remedy(remedy: Remedy) -> dict[str, object]:
    return {
        "kind": remedy.kind.value,
        "text": remedy.text,
        "why": remedy.why,
        "excess": remedy.excess,
        "risk": str(remedy.risk.level),
        "reason": remedy.risk.reason,
    }
