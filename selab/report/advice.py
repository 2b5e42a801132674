"""Advice on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console

from selab.advice.advise import Advice
from selab.advice.remedy import Kind, Remedy
from selab.advice.selinux_error import remedy_of
from selab.policy.query.risk import Level
from selab.report.markup import safe
from selab.run.document import MissingDenialEntry, SelinuxErrorEntry

COLOURS = {Level.LOW: "green", Level.MEDIUM: "yellow", Level.HIGH: "red"}


def show_advice(advice: Iterable[Advice], out: Console) -> None:
    """Print each denial in words, what stopped it, and the remedies, the best first."""
    for entry in advice:
        out.print(f"[bold]{entry.need.number}.[/bold] {safe(str(entry.need))}", soft_wrap=True)
        out.print(f"   {safe(entry.need.in_words)}.", soft_wrap=True)
        if entry.wrongly_allowed:
            out.print(f"   [red]{safe(entry.in_a_line)}.[/red]", soft_wrap=True)
            continue
        if entry.allowed_now:
            out.print("   [green]The policy as it is on disk now allows it.[/green]")
            continue
        if nothing := entry.need.ruling.nothing_to_do:
            out.print(f"   [green]{safe(nothing)}.[/green]", soft_wrap=True)
        out.print(f"   What stopped it: {safe(entry.stopped)}.", soft_wrap=True)
        for remedy in entry.remedies:
            _show_remedy(remedy, out)


def _show_remedy(remedy: Remedy, out: Console) -> None:
    level = remedy.risk.level
    harmless = remedy.kind is Kind.LEAVE or level is Level.LOW
    risk = "" if harmless else f"[{COLOURS[level]}]risk {level}[/]: {safe(remedy.risk.reason)}"
    remarks = "; ".join(part for part in (safe(remedy.why), remedy.more, risk) if part)
    out.print(f"   {remedy.kind.value:9} {safe(remedy.text)}", soft_wrap=True)
    if remarks:
        out.print(f"             [dim]{remarks}[/dim]", soft_wrap=True)


def show_errors(errors: Iterable[SelinuxErrorEntry], out: Console) -> None:
    """Print what each error without a denial means, and what to do about it."""
    for error in errors:
        out.print(f"[red]SELinux error[/red]: {safe(error.meaning)}", soft_wrap=True)
        remedy = remedy_of(error.kind, error.source, error.target, error.invalid_context)
        out.print(f"   {safe(remedy)}", soft_wrap=True)


def show_missing(missing: Iterable[MissingDenialEntry], out: Console) -> None:
    """Print each expected denial that did not occur, and what that means."""
    for entry in missing:
        out.print(f"[red]Expected, but did not occur[/red]: {safe(entry.entry)}", soft_wrap=True)
        out.print(f"   The scenario expects it: {safe(entry.reason)}.", soft_wrap=True)
        out.print("   Either the policy allows the access, or the workload did not request it.")


def show_in_brief(advice: Sequence[Advice], out: Console) -> None:
    """Print each denial's best remedy in a line; denials with the same remedy share the line.

    A denial that the scenario tolerates or expects needs no remedy.
    """
    show_numbered(((entry.need.number, _in_brief(entry)) for entry in advice if needs_advice(entry)), out)


def needs_advice(entry: Advice) -> bool:
    """Whether the user may have something to do about the denial."""
    return not entry.settled or entry.wrongly_allowed


def show_numbered(lines: Iterable[tuple[int, str]], out: Console) -> None:
    """Print the lines, each with the numbers of the denials that it is about."""
    numbers: dict[str, list[int]] = {}
    for number, line in lines:
        numbers.setdefault(line, []).append(number)
    width = max((len(_listed(each)) for each in numbers.values()), default=0)
    for line, each in numbers.items():
        out.print(f"  [dim]{_listed(each):>{width}}[/dim]  {safe(line)}", soft_wrap=True)


def _in_brief(entry: Advice) -> str:
    """The advice in a line, without the rule itself: the table of denials shows that already."""
    best = entry.best
    if entry.allowed_now or best is None or best.kind is not Kind.RULE:
        return entry.in_a_line
    return f"a rule for it{best.danger}"


def _listed(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def document(advice: Iterable[Advice]) -> list[dict[str, object]]:
    """The advice as JSON."""
    return [
        {
            "number": entry.need.number,
            "source": entry.need.source,
            "target": entry.need.target,
            "class": entry.need.tclass,
            "permissions": sorted(entry.need.permissions),
            "hidden": entry.need.hidden,
            "asked": entry.need.in_words,
            "stopped": entry.stopped,
            "allowed_now": entry.allowed_now,
            **entry.need.ruling.to_json(),
            "nothing_to_do": entry.need.ruling.nothing_to_do,
            "remedies": [_remedy(remedy) for remedy in entry.remedies],
        }
        for entry in advice
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
