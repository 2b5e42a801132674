"""`selab minimise`."""

from __future__ import annotations

import click

from selab.cli.completion import policies, scenarios
from selab.cli.drafts import offer, show_runs
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("scenario", shell_complete=scenarios)
@click.option(
    "--policy", metavar="NAME", shell_complete=policies, help="The candidate, instead of the scenario's."
)
@click.option("--runs", type=click.IntRange(2, 1000), default=20, show_default=True, help="Runs at most.")
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Write the policy's .te without asking; the old file is kept as .te.bak.",
)
@pass_context
def minimise(context: Context, scenario: str, policy: str | None, runs: int, apply_: bool) -> int:
    """Make a policy that passes SCENARIO in enforcing mode as small as it can be, and say what each part that is left is needed for.

    Rules, calls of interfaces and blocks go that neither a run nor libsepol misses. Works on a copy: the .te itself is written only at the
    end. Exit code 0 where everything was tried, 1 where the runs were spent before.

    \b
    Example:  selab minimise apache
    """
    from selab.errors import EXIT_FAIL, EXIT_PASS
    from selab.report.difference import show_difference
    from selab.vm.select import machine_of
    from selab.workflows.minimise import minimise

    project, out = context.project, context.out
    found = minimise(project, machine_of(project), scenario, policy, context.progress, runs=runs)
    show_runs("run", found.runs, context)
    name = f"{found.policy}.te"
    show_difference(found.before, found.after, (name, name), out)
    for text, reason in found.needed:
        out.print(
            f"[green]needed[/green]  {safe(' '.join(text.split()))}\n        [dim]{safe(reason)}[/dim]",
            soft_wrap=True,
        )
    parts, asked = (
        len(found.removed) + len(found.needed),
        f"{len(found.runs)} runs, {found.questions} questions to libsepol",
    )
    out.print(f"{len(found.removed)} of {parts} parts removed; {asked}.", markup=False)
    if not found.complete:
        out.print("[yellow]The runs were spent before everything was tried[/yellow]; --runs gives more.")
    offer(context, found.policy, found.before, found.after, apply=apply_)
    return EXIT_PASS if found.complete else EXIT_FAIL
