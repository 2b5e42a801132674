"""`selab learn`."""

from __future__ import annotations

import click

from selab.cli.completion import policies, scenarios
from selab.cli.drafts import offer, show_runs
from selab.cli.report_options import Reports, report_options
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
    help="Write the policy's file without asking; the old one is kept as NAME.bak.",
)
@click.option("--allow-risky", is_flag=True, help="Also add rules that lead out of the container or to root.")
@report_options
@pass_context
def learn(
    context: Context,
    scenario: str,
    policy: str | None,
    rounds: int,
    apply_: bool,
    allow_risky: bool,
    reports: Reports,
) -> int:
    """Run SCENARIO permissively, add the missing rules, and run it in enforcing mode.

    This repeats until the scenario passes or a decision is left to you.

    Works on a copy: the policy itself is written only at the end. A report is about the runs of all rounds.
    The exit code is 0 if the last run passed in enforcing mode without an unexpected denial, and 3 if it was
    an ERROR.

    \b
    Example:  selab learn apache --apply
    """
    from selab.errors import EXIT_ERROR, EXIT_FAIL, EXIT_PASS
    from selab.history import History
    from selab.policy.module_files import main_file
    from selab.report.advice import show_advice
    from selab.report.difference import show_difference
    from selab.run.verdict import Verdict
    from selab.workflows.learn import learn

    reports.check()
    if reports.printed:
        context.out = context.console
    project = context.project
    machine = context.machine
    result = learn(project, machine, scenario, policy, context.progress, rounds=rounds, risky=allow_risky)
    history = History.of(project)
    reports.write(context, [history.find(run.run) for run in result.runs])
    show_runs("round", result.runs, context)
    for change in result.changes:
        name = main_file(project, change.policy).name
        show_difference(change.before, change.after, (name, name), context.out)
    if result.left:
        context.out.print("[yellow]Left to you[/yellow]: may the container have this?")
        show_advice(result.left, context.out)
    for change in result.changes:
        offer(context, change.policy, change.before, change.after, apply=apply_)
    if result.runs[-1].verdict is Verdict.ERROR:
        return EXIT_ERROR
    return EXIT_PASS if result.passed else EXIT_FAIL
