"""`selab learn`."""

from __future__ import annotations

import click

from selab.cli.completion import policies, scenarios
from selab.cli.drafts import offer, show_runs
from selab.cli.session import Context, pass_context


@click.command()
@click.argument("scenario", shell_complete=scenarios)
@click.option(
    "--policy", metavar="NAME", shell_complete=policies, help="The candidate, instead of the scenario's."
)
@click.option("--rounds", type=click.IntRange(1, 50), default=6, show_default=True, help="Runs at most.")
@click.option(
    "--apply",
    "apply_",
    is_flag=True,
    help="Write the policy's .te without asking; the old file is kept as .te.bak.",
)
@click.option("--allow-risky", is_flag=True, help="Also add what leads out of the container or to root.")
@pass_context
def learn(
    context: Context, scenario: str, policy: str | None, rounds: int, apply_: bool, allow_risky: bool
) -> int:
    """Run SCENARIO permissively, add the rules that are missing, and run it in enforcing mode, until it passes or a person has to decide.

    Works on a copy: the .te itself is written only at the end. Exit code 0 where the last run passed in enforcing mode without a denial.

    \b
    Example:  selab learn apache --apply
    """
    from selab.errors import EXIT_FAIL, EXIT_PASS
    from selab.report.advice import show_advice
    from selab.report.difference import show_difference
    from selab.vm.select import machine_of
    from selab.workflows.learn import learn

    project = context.project
    found = learn(
        project, machine_of(project), scenario, policy, context.progress, rounds=rounds, risky=allow_risky
    )
    show_runs("round", found.runs, context)
    name = f"{found.policy}.te"
    show_difference(found.before, found.after, (name, name), context.out)
    if found.left:
        context.out.print("[yellow]Left to you[/yellow]: may the container have this?")
        show_advice(found.left, context.out)
    offer(context, found.policy, found.before, found.after, apply=apply_)
    return EXIT_PASS if found.passed else EXIT_FAIL
