"""The denials of an audit log, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from selab.auditlog.denials import Denial, SelinuxError, shown_labels
from selab.auditlog.reading import NOT_A_RECORD
from selab.auditlog.summary import Summary
from selab.report.markup import safe

_OUTCOMES = {True: "permissive", False: "blocked", None: "not said"}


def show_summary(summary: Summary, out: Console) -> None:
    """Print the unique denials, the errors without a denial, and what was ignored or could not be read."""
    if summary.denials:
        out.print(denials_table(summary))
    elif not summary.unparsed and not summary.incomplete and set(summary.ignored) <= {NOT_A_RECORD}:
        out.print("There is no audit record in this log.")
    for line in summary_lines(summary):
        out.print(line)


def denials_table(summary: Summary) -> Table:
    """A row for each unique denial, in the order of the policy language."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source target:class { permissions }", overflow="fold", ratio=3)
    table.add_column("count", justify="right")
    table.add_column("outcome")
    table.add_column("example", overflow="fold", ratio=2)
    for denial in summary.denials:
        rule = f"{denial.source} {denial.target}:{denial.tclass} {{ {' '.join(denial.permissions)} }}"
        outcome = _OUTCOMES[denial.permissive] + (", mixed" if denial.mixed else "")
        table.add_row(safe(rule), str(denial.count), outcome, safe(_example(denial)))
    return table


def summary_lines(summary: Summary) -> Iterator[str]:
    """The lines below the table, as rich markup."""
    records, events = _counted(summary.records, "denial record"), _counted(summary.events, "event")
    yield f"{records} in {events}, {len(summary.denials)} unique"
    if summary.omitted:
        more = _counted(summary.omitted, "further record")
        yield f"[bold red]The log has too many unique denials: {more} are counted, and not shown.[/]"
    for error, count in summary.selinux_err:
        yield f"[bold]SELINUX_ERR[/] {safe(error.kind)} x{count}: {safe(_subject(error))}"
        yield f"  {safe(error.meaning)}"
    if summary.ignored:
        yield "ignored: " + ", ".join(f"{safe(kind)} {count}" for kind, count in summary.ignored.items())
    if summary.incomplete:
        yield "[bold red]The log is incomplete, so denials may be missing:[/]"
        yield from (f"  {safe(reason)}" for reason in summary.incomplete)
    if summary.unparsed:
        yield f"[bold red]{_counted(summary.unparsed, 'record')} could not be read, and may be a denial:[/]"
        for example in summary.unparsed_examples:
            yield f"  {safe(example)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _example(denial: Denial) -> str:
    process = denial.comm or denial.exe
    parts = (process, denial.path, denial.detail, shown_labels(denial))
    return " ".join(part for part in parts if part)


def _subject(error: SelinuxError) -> str:
    contexts = " -> ".join(part for part in (error.scontext, error.tcontext) if part)
    invalid = f"invalid context {error.invalid_context}" if error.invalid_context else ""
    tclass = f"class {error.tclass}" if error.tclass else ""
    return ", ".join(part for part in (contexts, tclass, invalid) if part) or error.text
