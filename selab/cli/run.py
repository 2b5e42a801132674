"""`selab run`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from selab.cli.completion import policies, scenarios
from selab.cli.report_options import Reports, report_options
from selab.cli.session import Context, pass_context
from selab.run.request import Request, RunOptions

if TYPE_CHECKING:
    from selab.history import StoredRun

MODES = {"yes": "enforcing", "no": "permissive", "domain": "domain"}


@click.command()
@click.argument("scenario", shell_complete=scenarios)
@click.option(
    "--policy",
    metavar="NAME|none",
    shell_complete=policies,
    help="The candidate, instead of the scenario's; none: the base policy's container domain.",
)
@click.option(
    "--setenforce",
    type=click.Choice(list(MODES)),
    default="yes",
    show_default=True,
    help="Enforcing, permissive, or only the candidate's domain permissive.",
)
@click.option("--keep", is_flag=True, help="Leave the container running until the scenario's next run.")
@click.option(
    "--shell", is_flag=True, help="Open a shell in the guest beside the container before it is removed."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the log as well.")
@report_options
@pass_context
def run(
    context: Context,
    /,
    scenario: str,
    policy: str | None,
    setenforce: str,
    verbose: bool,
    reports: Reports,
    **chosen: Any,
) -> int:
    """Run SCENARIO and show what SELinux denied.

    Exit code: 0 PASS, 1 FAIL, 2 wrong usage or input, 3 ERROR, 130 interrupted.

    \b
    Examples:  selab run apache --setenforce no
               selab run apache --policy selab_apache_full --json
    """
    from selab.analysis.explain import AdviceCache
    from selab.history import History, resume
    from selab.policy.guest.load import Mode
    from selab.report.terminal import show_run
    from selab.run import experiment

    context.show_log(verbose)
    reports.check()
    machine = context.machine
    history = History.of(context.project)
    needs_advice = reports.advice or not reports.printed
    advice_cache = AdviceCache()
    request = Request(scenario, policy, Mode(MODES[setenforce]), chosen["keep"])
    hooks = RunOptions(
        before_steps=advice_cache.begin if needs_advice else None,
        after_steps=machine.shell if chosen["shell"] else None,
    )
    options = resume(context.project, scenario, hooks)

    def judged(result: experiment.Run) -> None:
        document = history.add(result)
        stored = history.find(document.run)
        advice = advice_cache.advice(context.project, stored, context.progress) if needs_advice else []
        reports.write(context, [stored], advice={document.run: advice})
        _annotate(stored)
        if not reports.printed:
            show_run(document, context.out, change=history.change(document), advice=advice)

    result = experiment.run(context.project, machine, request, context.progress, options, judged)
    return result.verdict.exit_code


def _annotate(stored: StoredRun) -> None:
    """If GitHub Actions runs this, print annotations on standard error, which it reads too."""
    from selab.report.formats import FORMATS
    from selab.report.model import Report, ReportedRun

    if os.environ.get("GITHUB_ACTIONS") == "true":
        reported = ReportedRun.of(stored.document, stored.sources)
        click.echo(FORMATS["github"].render(Report((reported,))), nl=False, err=True)
