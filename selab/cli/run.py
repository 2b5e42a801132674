"""`selab run`."""

from __future__ import annotations

import click

from selab.cli.context import Context, pass_context

MODES = {"yes": "enforcing", "no": "permissive", "domain": "domain"}


@click.command()
@click.argument("scenario")
@click.option("--policy", metavar="NAME|none", help="The candidate, instead of the scenario's; none: the base policy's container domain.")
@click.option(
    "--setenforce",
    type=click.Choice(list(MODES)),
    default="yes",
    show_default=True,
    help="Enforcing, permissive, or only the candidate's domain permissive.",
)
@click.option("--keep", is_flag=True, help="Leave the container, until the scenario's next run.")
@click.option("--shell", is_flag=True, help="Open a shell in the guest beside the container before it is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log as well.")
@pass_context
def run(context: Context, scenario: str, policy: str | None, setenforce: str, keep: bool, shell: bool, as_json: bool, verbose: bool) -> int:
    """Run SCENARIO and show what SELinux denied.

    Exit code: 0 PASS, 1 FAIL, 2 wrong usage or input, 3 ERROR, 130 interrupted.

    \b
    Examples:  selab run apache --setenforce no
               selab run apache --policy selab_apache_full --json
    """
    from selab import experiment
    from selab.history import History, change_in_words
    from selab.policy.load import Mode
    from selab.report.terminal import show_run
    from selab.vm.machine import Machine

    context.show_log(verbose)
    machine = Machine(context.project)
    request = experiment.Request(scenario, policy, Mode(MODES[setenforce]), keep, beside=machine.shell if shell else None)
    result = experiment.run(context.project, machine, request, context.progress)
    history = History.of(context.project)
    document = history.add(result)
    if as_json:
        click.echo(document.as_json())
    else:
        before = history.before(history.find(document.run))
        show_run(document, context.out, change=change_in_words(before.document, document) if before else "")
    return result.verdict.exit_code
