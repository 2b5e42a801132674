"""`selab minimise`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selab.cli.completion import policies, scenarios
from selab.cli.drafts import offer, show_runs
from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.workflows.minimise import Minimum


@click.command()
@click.argument("scenario", shell_complete=scenarios)
@click.option(
    "--policy", metavar="NAME", shell_complete=policies, help="The candidate, instead of the scenario's."
)
@click.option(
    "--runs", type=click.IntRange(2, 1000), default=20, show_default=True, help="Maximum number of runs."
)
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Write the policy's file without asking; the old one is kept as NAME.bak.",
)
@pass_context
def minimise(context: Context, scenario: str, policy: str | None, runs: int, apply_: bool) -> int:
    """Reduce a policy that passes SCENARIO in enforcing mode to the parts that it needs, and report what
    needs each part.

    selab removes rules, interface calls and blocks that neither a run nor libsepol needs. It works on a copy
    and writes the policy only at the end. The exit code is 0 if every part was tried, 1 if the runs
    were used up before, and 3 if a run was an ERROR.

    \b
    Example:  selab minimise apache
    """
    from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS
    from selab.workflows.minimise import minimise

    project = context.project
    results = minimise(project, context.machine, scenario, policy, context.progress, runs=runs)
    for result in results:
        _show(context, result, apply=apply_)
    if any(result.error for result in results):
        return EXIT_ERROR
    return EXIT_PASS if all(result.complete for result in results) else EXIT_FAIL


def _show(context: Context, result: Minimum, *, apply: bool) -> None:
    """Print what a search has found, and offer to write it."""
    from selab.policy.module_files import main_file
    from selab.report.difference import show_difference

    project, out = context.project, context.out
    show_runs("run", result.runs, context)
    name = main_file(project, result.policy).name
    show_difference(result.before, result.after, (name, name), out)
    for text, reason in result.needed:
        out.print(
            f"[green]needed[/green]  {safe(' '.join(text.split()))}\n        [dim]{safe(reason)}[/dim]",
            soft_wrap=True,
        )
    parts = len(result.removed) + len(result.needed)
    effort = f"{len(result.runs)} runs, {result.questions} questions to libsepol"
    out.print(f"{len(result.removed)} of {parts} parts removed; {effort}.", markup=False)
    if result.error:
        out.print(f"[red]The last run was an ERROR, so the search ended[/red]: {safe(result.error)}")
    elif not result.complete:
        out.print(
            "[yellow]The runs were used up before every part was tried[/yellow]; allow more with --runs."
        )
    offer(context, result.policy, result.before, result.after, apply=apply)
