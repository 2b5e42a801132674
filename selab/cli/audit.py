"""`selab audit`."""

from __future__ import annotations

import click

from selab.cli.completion import policies
from selab.cli.session import Context, pass_context


@click.command()
@click.argument("policy", shell_complete=policies)
@click.option(
    "--against",
    default="",
    metavar="REV|FILE",
    help="Another version of its file: a file, or a revision of git.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high"]),
    help="Exit with status 1 if something that the author added has this risk or a higher one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as one JSON document.")
@pass_context
def audit(context: Context, policy: str, against: str, fail_on: str | None, as_json: bool) -> int:
    """Show what POLICY adds to the base policy: types, rules with their risk, and what its domains can reach.
    Needs no VM.

    \b
    Examples:  selab audit selab_apache_full
               selab audit selab_apache --against HEAD --fail-on high
    """
    from selab.analysis.audit import audit
    from selab.errors import EXIT_FAIL, EXIT_PASS
    from selab.host.files import to_json
    from selab.policy.query.risk import Level
    from selab.report.audit import document, show_audit

    result = audit(context.project, policy, context.progress, against)
    if as_json:
        click.echo(to_json(document(result)))
    else:
        show_audit(result, context.out, against)
    reached = fail_on is not None and result.of_author and result.worst >= Level[fail_on.upper()]
    return EXIT_FAIL if reached else EXIT_PASS
