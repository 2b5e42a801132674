"""`selab matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.cli.report import refuse_others, write_page
from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.matrix.coordinate import Options, Outcome
    from selab.matrix.model import Matrix

FILE = "matrix.yaml"
REPORT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="VMs at a time on this machine; otherwise at most 2.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the workers of this Dask scheduler instead.")
@click.option(
    "--destroy", is_flag=True, help="Remove the VMs that were used; otherwise they stay for the next time."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)
@click.option("--junit", type=REPORT, metavar="FILE", help="Write a JUnit report as well.")
@click.option("--html", type=REPORT, metavar="FILE", help="Write a page for a reviewer as well.")
@click.option("--force", is_flag=True, help="Also write over a file that is no page of selab's.")
@pass_context
def matrix(
    context: Context,
    file: Path | None,
    workers: int | None,
    scheduler: str | None,
    destroy: bool,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    force: bool,
) -> int:
    """Run policies x scenarios x modes x guests, as FILE (matrix.yaml) says, on several VMs at a time.

    Exit code: 3 if a run is an ERROR, else 1 if one did not end as it was expected to, else 0.

    \b
    Example:  selab matrix --workers 2 --html matrix.html
    """
    from selab.history import History, Record
    from selab.host.yamlfile import load
    from selab.matrix.coordinate import Options
    from selab.matrix.model import Matrix
    from selab.matrix.plan import exit_code
    from selab.report.matrix import as_json as json_of
    from selab.report.matrix import matrix_junit, show

    if html:
        refuse_others(html, force)
    wanted = load(file or context.project.root / FILE, Matrix)
    outcome = _watched(context, wanted, Options(workers or 0, scheduler or "", destroy))
    if junit:
        junit.write_text(matrix_junit(outcome.ended), encoding="utf-8")
    if html:
        runs = [one.result.document.run for one in outcome.ended if isinstance(one.result, Record)]
        said = write_page(
            context, html, [History.of(context.project).find(run) for run in runs], outcome.ended
        )
        context.console.print(safe(said), soft_wrap=True)
    if as_json:
        click.echo(json_of(outcome.ended))
    else:
        show(outcome.ended, context.out)
    _say_what_stays(context, outcome, local=not scheduler)
    return exit_code(outcome.ended)


def _watched(context: Context, wanted: Matrix, wish: Options) -> Outcome:
    from selab.cli.logfile import logging_to
    from selab.matrix.coordinate import run_matrix
    from selab.report.matrix import MatrixWatcher

    watcher = MatrixWatcher(context.console)
    try:
        return run_matrix(context.project, wanted, wish, watcher, logging_to)
    finally:
        watcher.close()


def _say_what_stays(context: Context, outcome: Outcome, local: bool) -> None:
    from selab.matrix.slots import home, with_vm

    for name, why in outcome.removed.items():
        if why:
            context.console.print(
                safe(f"The VM {name} is still there: {why}"), style="yellow", soft_wrap=True
            )
    names = [project.root.name for project in with_vm(home(context.project))] if local else outcome.used
    if names and not outcome.removed:
        how = (
            "`selab vm halt --matrix` stops them, `selab vm destroy --matrix` removes them."
            if local
            else "The workers have them."
        )
        said = f"{len(names)} VM{'s' * (len(names) > 1)} for the next time: {', '.join(names)}. {how}"
        context.console.print(safe(said), style="dim", soft_wrap=True)
