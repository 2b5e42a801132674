"""What `selab learn` and `selab minimise` say of a draft: its runs, and whether it is to be written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from selab.cli.session import Context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.run.document import RunDocument


def show_runs(word: str, runs: Iterable[RunDocument], context: Context) -> None:
    """Each run in a line; `word` is what it is called."""
    for number, run in enumerate(runs, 1):
        head = f"{word} {number}  {run.mode.value:10}  {run.verdict.value:5}"
        context.out.print(f"{head}  {safe(run.reasons[0])}  [dim]run {safe(run.run)}[/dim]")


def offer(context: Context, policy: str, before: str, after: str, *, apply: bool) -> None:
    """Write what became of a policy's .te if `apply`, or if somebody is there and says yes."""
    from selab.workflows.drafts import write

    name = f"{policy}.te"
    if after == before:
        return
    if apply or (sys.stdin.isatty() and click.confirm(f"Write {name}?")):
        backup = write(context.project, policy, before, after)
        context.out.print(
            f"{name} is written; the old one is {backup.name if backup else name}.", markup=False
        )
    else:
        context.out.print(f"{name} is as it was; --apply writes it.", markup=False)
