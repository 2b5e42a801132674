"""A run on a terminal: its steps, denials, times and verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from selab.advice.advise import Advice
from selab.auditlog.classification import Classification
from selab.auditlog.denials import Denial, shown_labels, shown_target
from selab.report.advice import show_in_brief, show_numbered
from selab.report.markup import safe
from selab.report.words import containers_of
from selab.run.document import ClassifiedDenialEntry, DenialEntry, RunDocument
from selab.run.verdict import Verdict

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.ERROR: "yellow"}


def show_run(
    run: RunDocument,
    out: Console,
    *,
    change: str = "",
    advice: Sequence[Advice] = (),
    everything: bool = False,
) -> None:
    """Print the summary of `run`. The verdict comes last, next to the prompt.

    `change`: the line about the difference from the previous run, or "".
    `advice`: what to do about its denials.
    `everything`: whether to show the denials of the container runtime and of the rest of the machine.
    """
    title = f"[bold]{safe(run.scenario)}[/bold]  policy {safe(run.policy)}, {run.mode.value}"
    label = "" if run.containers else f"{safe(run.label.requested)}  "
    out.print(f"{title}  [dim]{label}run {safe(run.run)}[/dim]")
    for each in run.containers:
        out.print(f"  {safe(each.name)}  [dim]policy {safe(each.policy)}, {safe(each.label.requested)}[/dim]")
    for step in run.steps:
        sign = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
        detail = f"  [red]{safe(step.detail)}[/red]" if step.detail else ""
        out.print(f"  {sign} {safe(step.name)} [dim]{step.seconds:.1f} s[/dim]{detail}")
    if run.log:
        out.print("  [dim]the end of the log:[/dim]")
        for line in run.log.splitlines():
            out.print(f"  [dim]│[/dim] {safe(line)}")
    _show_denials(run, out, everything)
    for note in run.notes:
        out.print(f"  [dim]{safe(note)}[/dim]")
    show_in_brief(advice, out)
    if run.denials:
        rules = "; `selab suggest` prints the rules" if run.unexpected else ""
        out.print(f"  [dim]`selab explain` explains each denial{rules}.[/dim]")
    _show_verdict(run, out, change)


def _show_denials(run: RunDocument, out: Console, everything: bool) -> None:
    """Print the run's denials, and the runtime's if no process of the container was seen: they may be why."""
    if run.unexpected:
        out.print(denials_table(run.unexpected, first=1))
    elif run.verdict is not Verdict.ERROR:
        out.print(f"  No {'unexpected ' if run.denials else ''}denials of the workload.")
    _show_settled(run, out)
    if run.hidden:
        first = len(run.denials) + 1
        out.print("  [yellow]hidden by dontaudit rules[/yellow], seen in a second run without them:")
        out.print(denials_table(run.hidden, first=first))
        show_numbered(_rulings(run.hidden, first), out)
    for error in run.selinux_errors:
        out.print(f"  [red]SELinux error[/red]: {safe(error.meaning)} [dim]{safe(error.text)}[/dim]")
    others = [(run.runtime, "of the container runtime"), (run.machine, "of the rest of the machine")]
    shown = others if everything else others[:1] if not run.label.actual else []
    for denials, owner in shown:
        if denials:
            out.print(f"  [dim]{owner}:[/dim]")
            out.print(denials_table(denials))
    counts = [
        f"{sum(len(denial.keys) for denial in denials)} {owner}" for denials, owner in others if denials
    ]
    if counts and not everything:
        hint = f"(`selab show {safe(run.run)} --all` shows them)"
        out.print(f"  [dim]Not counted: {', '.join(counts)} {hint}.[/dim]")


def _show_settled(run: RunDocument, out: Console) -> None:
    """Print the tolerated and the expected denials as groups of their own, with the reasons below them."""
    first = len(run.unexpected) + 1
    for classification in (Classification.TOLERATED, Classification.EXPECTED):
        if rows := run.classified_as(classification):
            out.print(f"  [green]{classification.value}[/green], as the scenario says:")
            out.print(denials_table(rows, first=first))
            show_numbered(_rulings(rows, first), out)
        first += len(rows)


def _rulings(denials: Sequence[ClassifiedDenialEntry], first: int) -> list[tuple[int, str]]:
    """The number of each tolerated or expected denial, with the entry and the reason that say so."""
    return [
        (number, denial.ruling.in_words)
        for number, denial in enumerate(denials, first)
        if not denial.ruling.is_unexpected
    ]


def denials_table(denials: Sequence[Denial | DenialEntry], *, first: int = 0) -> Table:
    """A row for each unique denial: source, target and class, permissions, count and an example.

    The rows are numbered from `first`, as `selab explain` numbers them, or not at all if `first` is 0.
    """
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", justify="right", style="dim", min_width=3 if first else 0)
    table.add_column("source", no_wrap=True)
    table.add_column("target:class", no_wrap=True)
    table.add_column("permissions", min_width=11)
    table.add_column("count", justify="right")
    table.add_column("for example", overflow="fold")
    for number, denial in enumerate(denials, first):
        target = shown_target(denial.source, denial.target)
        apart = "(kept apart by MCS categories)" if denial.separated else ""
        names = containers_of(denial) if isinstance(denial, DenialEntry) else ""
        parts = (names, denial.comm, denial.path, denial.detail, apart, shown_labels(denial))
        example = " ".join(part for part in parts if part)
        words = (
            str(number) if first else "",
            denial.source,
            f"{target}:{denial.tclass}",
            " ".join(denial.permissions),
            str(denial.count),
            example,
        )
        table.add_row(*map(safe, words))
    return table


def _show_verdict(run: RunDocument, out: Console, change: str) -> None:
    stages = "  ".join(
        f"{safe(stage)} {seconds:.1f}" for stage, seconds in run.timings.items() if seconds >= 0.05
    )
    out.print(f"  [dim]seconds: {run.duration:.1f}  ({stages})[/dim]")
    if change:
        out.print(f"  {safe(change)}")
    colour = COLOURS[run.verdict]
    out.print(f"[bold {colour}]{run.verdict.value}[/bold {colour}]  {safe(run.reasons[0])}")
    for reason in run.reasons[1:]:
        out.print(f"      {safe(reason)}")
