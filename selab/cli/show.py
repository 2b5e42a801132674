"""`selab show`."""

from __future__ import annotations

import click

from selab.cli.report_options import Reports, report_options
from selab.cli.session import Context, pass_context
from selab.report.text import plain


@click.command()
@click.argument("run", default="last")
@click.option(
    "--all", "everything", is_flag=True, help="Show the denials of the rest of the machine as well."
)
@click.option("--raw", is_flag=True, help="Print the raw records of the run's window.")
@report_options
@pass_context
def show(context: Context, run: str, everything: bool, raw: bool, reports: Reports) -> None:
    """Show RUN again: its id or the beginning of it, `last`, or `last~N`.

    \b
    Examples:  selab show last~1
               selab show last --format markdown
    """
    from selab.history import History
    from selab.report.terminal import show_run

    if raw and reports.printed:
        raise click.UsageError(
            "--raw and a report cannot both go to standard output: give the report a file."
        )
    reports.check()
    stored = History.of(context.project).find(run)
    reports.write(context, [stored])
    if raw:
        for line in stored.records:
            click.echo(plain(line.decode("utf-8", "backslashreplace")))
    elif not reports.printed:
        show_run(stored.document, context.out, everything=everything)
