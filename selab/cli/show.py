"""`selab show`."""

from __future__ import annotations

import click

from selab.cli.session import Context, pass_context
from selab.report.text import plain


@click.command()
@click.argument("run", default="last")
@click.option("--json", "as_json", is_flag=True, help="Print the run's JSON document.")
@click.option(
    "--all", "everything", is_flag=True, help="Show the denials of the rest of the machine as well."
)
@click.option("--raw", is_flag=True, help="Print the raw records of the run's window.")
@pass_context
def show(context: Context, run: str, as_json: bool, everything: bool, raw: bool) -> None:
    """Show RUN again: its id or the beginning of it, `last`, or `last~N`.

    \b
    Example:  selab show last~1
    """
    from selab.history import History
    from selab.report.terminal import show_run

    stored = History.of(context.project).find(run)
    if raw:
        for line in stored.records:
            click.echo(plain(line.decode("utf-8", "backslashreplace")))
    elif as_json:
        click.echo(stored.document.as_json())
    else:
        show_run(stored.document, context.out, everything=everything)
