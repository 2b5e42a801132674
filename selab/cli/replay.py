"""`selab replay`."""

from __future__ import annotations

import click

from selab.cli.completion import policies, runs
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("records", default="last", metavar="[RUN|FILE]", shell_complete=runs)
@click.option(
    "--policy",
    metavar="NAME",
    shell_complete=policies,
    help="The candidate to ask, instead of the run's own.",
)
@click.option(
    "--booleans", is_flag=True, help="Look for the boolean that would allow it: some seconds for each."
)
@click.option("--json", "as_json", is_flag=True, help="Print the decisions as JSON.")
@pass_context
def replay(context: Context, records: str, policy: str | None, booleans: bool, as_json: bool) -> None:
    """Say what a candidate, as it is on disk, would decide about the denials of a RUN or an audit log, without a VM.

    It decides rules, booleans, constraints (MCS among them), roles and type bounds. Only a run proves a policy.

    \b
    Examples:  selab replay
               selab replay last~1 --policy selab_apache_full
               selab replay audit.log --policy selab_apache
    """
    from selab.analysis.offline import records_of, replay_offline
    from selab.host.files import to_json

    recorded, name = records_of(context.project, records, policy)
    found = replay_offline(context.project, recorded, name, context.progress, names=booleans)
    if as_json:
        rows = [
            {
                "source": one.access.source,
                "target": one.access.target,
                "class": one.access.tclass,
                "permission": one.access.permission,
                "allowed": one.allowed,
                "cause": one.cause.value,
                "detail": one.detail,
            }
            for one in found.decisions
        ]
        click.echo(to_json({"schema": 1, "policy": name, "decisions": rows}))
        return
    for key, decision in sorted(found.causes.items()):
        why = f"{decision.cause.value}{': ' + decision.detail if decision.detail else ''}"
        context.out.print(f"  {safe(str(key))}  [dim]{safe(why)}[/dim]")
    context.out.print(safe(found.in_words()))
    context.out.print("[dim]Only a run proves a policy: `selab run` it.[/dim]")
