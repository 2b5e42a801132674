"""Show the runs of a draft policy, and offer to write it, for `selab learn` and `selab minimise`."""

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
    """Print one line for each run. `word` is the name for a run ("round", "run")."""
    for number, run in enumerate(runs, 1):
        head = f"{word} {number}  {run.mode.value:10}  {run.verdict.value:5}"
        context.out.print(f"{head}  {safe(run.reasons[0])}  [dim]run {safe(run.run)}[/dim]")


def offer(context: Context, policy: str, before: str, after: str, *, apply: bool) -> None:
    """Write the new text of a policy if `apply` is set, or if the user confirms it on a terminal."""
    from selab.policy.module_files import main_file
    from selab.workflows.drafts import write

    name = main_file(context.project, policy).name
    if after == before:
        return
    if apply or (sys.stdin.isatty() and click.confirm(f"Write {name}?", err=True)):
        backup = write(context.project, policy, before, after)
        context.out.print(
            f"{name} was written; the old file is {backup.name if backup else name}.", markup=False
        )
    else:
        context.out.print(f"{name} is unchanged; --apply writes it.", markup=False)
