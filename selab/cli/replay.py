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
    help="The candidate that decides, instead of the run's own.",
)
@click.option(
    "--booleans", is_flag=True, help="Find the boolean that would allow each denial. This takes seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print the decisions as JSON.")
@pass_context
def replay(context: Context, records: str, policy: str | None, booleans: bool, as_json: bool) -> None:
    """Show what a candidate, as it is on disk, would decide about the denials of a RUN or an audit log,
    without a VM.

    The decision includes rules, commands of ioctl (allowxperm), booleans, constraints (also MCS), roles and
    type bounds. Only a run proves a policy.

    \b
    Examples:  selab replay
               selab replay last~1 --policy selab_apache_full
               selab replay audit.log --policy selab_apache
    """
    from selab.analysis.offline import records_of, replay_offline
    from selab.host.files import to_json
    from selab.policy.language.commands import as_hex
    from selab.run.replay import key_of

    recorded, names = records_of(context.project, records, policy)
    result = replay_offline(context.project, recorded, names, context.progress, names=booleans)
    if as_json:
        rulings = [result.ruling_on(key_of(decision)) for decision in result.decisions]
        rows = [
            {
                "source": decision.access.source,
                "target": decision.access.target,
                "class": decision.access.tclass,
                "permission": decision.access.permission,
                **({} if decision.access.command is None else {"command": as_hex(decision.access.command)}),
                "allowed": decision.allowed,
                "cause": decision.cause.value,
                "detail": decision.detail,
                **ruling.to_json(),
            }
            for decision, ruling in zip(result.decisions, rulings, strict=True)
        ]
        click.echo(to_json({"schema": 1, "policy": ", ".join(names), "decisions": rows}))
        return
    for key, decision in sorted(result.causes.items()):
        cause = f"{decision.cause.value}{': ' + decision.detail if decision.detail else ''}"
        why = "; ".join(part for part in (cause, result.ruling_on(key).in_words) if part)
        context.out.print(f"  {safe(str(key))}  [dim]{safe(why)}[/dim]")
    for key in sorted(result.wrongly_allowed):
        why = f"would be allowed, but is {result.ruling_on(key).in_words}"
        context.out.print(f"  {safe(str(key))}  [red]{safe(why)}[/red]")
    context.out.print(safe(result.in_words()))
    context.out.print("[dim]Only a run proves a policy: use `selab run`.[/dim]")
