"""`selab run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selab.cli.completion import policies, scenarios
from selab.cli.session import Context, pass_context
from selab.run.request import Request, RunOptions

if TYPE_CHECKING:
    from selab.run.document import RunDocument

REPORT = click.Path(dir_okay=False, writable=True, path_type=Path)

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
@click.option("--keep", is_flag=True, help="Leave the container, until the scenario's next run.")
@click.option(
    "--shell", is_flag=True, help="Open a shell in the guest beside the container before it is removed."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)
@click.option("--junit", type=REPORT, metavar="FILE", help="Write a JUnit report as well.")
@click.option("--sarif", type=REPORT, metavar="FILE", help="Write a SARIF report as well.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log as well.")
@pass_context
def run(
    context: Context,
    /,
    scenario: str,
    policy: str | None,
    setenforce: str,
    as_json: bool,
    verbose: bool,
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
    from selab.vm.select import machine_of

    context.show_log(verbose)
    machine = machine_of(context.project)
    history = History.of(context.project)
    advice_cache = AdviceCache()
    request = Request(scenario, policy, Mode(MODES[setenforce]), chosen["keep"])
    hooks = RunOptions(
        before_steps=None if as_json else advice_cache.begin,
        after_steps=machine.shell if chosen["shell"] else None,
    )
    options = resume(context.project, scenario, hooks)
    result = experiment.run(context.project, machine, request, context.progress, options)
    document = history.add(result)
    te = result.plan.module.texts["te"].decode("utf-8", "replace") if result.plan.module else ""
    _write_reports(document, te, chosen["junit"], chosen["sarif"])
    if as_json:
        click.echo(document.as_json())
    else:
        advice = advice_cache.advice(context.project, history.find(document.run), context.progress)
        show_run(document, context.out, change=history.change(document), advice=advice)
    return result.verdict.exit_code


def _write_reports(run: RunDocument, te: str, junit_file: Path | None, sarif_file: Path | None) -> None:
    """Write the requested reports. On GitHub, also print workflow commands to standard error."""
    from selab.report.github import workflow_commands
    from selab.report.junit import junit
    from selab.report.sarif import sarif

    if junit_file:
        junit_file.write_text(junit(run), encoding="utf-8")
    if sarif_file:
        sarif_file.write_text(sarif(run, te), encoding="utf-8")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for command in workflow_commands(run, te):
            click.echo(command, err=True)
