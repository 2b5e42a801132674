"""`selab report`."""

from __future__ import annotations

import click

from selab.cli.completion import runs as run_names
from selab.cli.report_options import Reports, report_options, usage
from selab.cli.session import Context, pass_context


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=run_names)
@report_options
@pass_context
def report(context: Context, names: tuple[str, ...], reports: Reports) -> None:
    """Write a report about each RUN (or the last one), such as a page that a reviewer opens in a browser.

    Several runs are several test suites in JUnit, several runs in SARIF, and a list `runs` in JSON.

    \b
    Examples:  selab report --html review.html
               selab report last~1 last --format markdown -o summary.md
    """
    from selab.history import History

    if not reports.outputs:
        raise usage("Nothing says which report: give --format NAME, -o FILE or --html FILE.")
    reports.check()
    history = History.of(context.project)
    runs = {run.document.run: run for run in map(history.find, names or ("last",))}
    reports.write(context, sorted(runs.values(), key=lambda run: run.number), out=context.out)
