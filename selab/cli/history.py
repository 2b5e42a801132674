"""`selab history`."""

from __future__ import annotations

import click
from rich.table import Table

from selab.cli.completion import scenarios
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.command()
@click.argument("scenario", required=False, shell_complete=scenarios)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="How many runs."
)
@pass_context
def history(context: Context, scenario: str | None, limit: int) -> None:
    """List the runs of this project, or of SCENARIO only, the newest first.

    \b
    Example:  selab history apache
    """
    from selab.history import History
    from selab.report.terminal import COLOURS

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("run", "started (UTC)", "scenario", "policy", "mode", "denials", "unexpected", "verdict"):
        table.add_column(name, justify="right" if name in ("denials", "unexpected") else "left")
    for stored in History.of(context.project).latest(limit, scenario):
        run = stored.document
        colour = COLOURS[run.verdict]
        cells = (
            run.run,
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            run.scenario,
            run.policy,
            run.mode.value,
            str(len(run.keys)),
            str(len(run.unexpected_keys)),
        )
        table.add_row(*map(safe, cells), f"[{colour}]{run.verdict.value}[/{colour}]")
    context.out.print(table if table.row_count else "No runs yet: `selab run SCENARIO` makes the first.")
