"""`selab explain`."""

from __future__ import annotations

import click

from selab.cli.completion import runs
from selab.cli.session import Context, pass_context


@click.command()
@click.argument("name", default="last", metavar="[RUN]", shell_complete=runs)
@click.argument("number", type=int, required=False, metavar="[N]")
@click.option("--json", "as_json", is_flag=True, help="Print the advice as JSON.")
@pass_context
def explain(context: Context, name: str, number: int | None, as_json: bool) -> None:
    """Explain each denial of a RUN, or denial N: what was requested, what denied it, and the remedies, best
    first.

    selab consults the candidate as it is on disk, the base policy's rules and booleans, and the interfaces of
    its headers. It changes nothing.

    \b
    Examples:  selab explain
               selab explain last~1 3
    """
    from selab.analysis.explain import explain, numbered
    from selab.history import History
    from selab.host.files import to_json
    from selab.report.advice import document, show_advice, show_errors, show_missing

    stored = History.of(context.project).find(name)
    advice = list(numbered(explain(context.project, stored, context.progress), number))
    if as_json:
        missing = [entry.model_dump() for entry in stored.document.missing]
        click.echo(to_json({"schema": 1, "advice": document(advice), "missing": missing}))
    else:
        show_advice(advice, context.out)
        show_missing(stored.document.missing if number is None else (), context.out)
        show_errors(stored.document.selinux_errors if number is None else (), context.out)
