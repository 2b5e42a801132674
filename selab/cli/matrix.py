"""`selab matrix`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.cli.report_options import Reports, report_options
from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.matrix.coordinate import Options, Outcome
    from selab.matrix.model import Matrix

FILE = "matrix.yaml"


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="VMs at a time on this machine; by default at most 2.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the workers of this Dask scheduler instead.")
@click.option(
    "--destroy", is_flag=True, help="Remove the VMs at the end; by default they stay for the next time."
)
@report_options
@pass_context
def matrix(
    context: Context,
    file: Path | None,
    workers: int | None,
    scheduler: str | None,
    destroy: bool,
    reports: Reports,
) -> int:
    """Run policies x scenarios x modes x guests, as FILE (matrix.yaml) says, on several VMs at a time.

    Exit code: 3 if a run is an ERROR, else 1 if a run did not end as expected, else 0.

    \b
    Example:  selab matrix --workers 2 --html matrix.html
    """
    from selab.cli.trust import ask_about
    from selab.history import History, Record
    from selab.host.yamlfile import load
    from selab.matrix.coordinate import Options
    from selab.matrix.model import Matrix
    from selab.matrix.plan import exit_code
    from selab.report.matrix import show

    reports.check(matrix=True)
    model = load(file or context.project.root / FILE, Matrix)
    for settings in model.settings(context.project.config.vm).values():
        config = context.project.config.model_copy(update={"vm": settings})
        ask_about(context, dataclasses.replace(context.project, config=config))
    outcome = _watched(context, model, Options(workers or 0, scheduler or "", destroy))
    history, results = History.of(context.project), outcome.ended
    runs = [result.result.document.run for result in results if isinstance(result.result, Record)]
    reports.write(context, [history.find(run) for run in runs] if reports.outputs else [], results)
    if not reports.printed:
        show(results, context.out)
    _say_what_stays(context, outcome, local=not scheduler)
    return exit_code(results)


def _watched(context: Context, model: Matrix, options: Options) -> Outcome:
    from selab.cli.logfile import logging_to
    from selab.matrix.coordinate import run_matrix
    from selab.report.matrix import MatrixWatcher

    watcher = MatrixWatcher(context.console)
    try:
        return run_matrix(context.project, model, options, watcher, logging_to)
    finally:
        watcher.close()


def _say_what_stays(context: Context, outcome: Outcome, local: bool) -> None:
    from selab.matrix.slots import home, with_vm

    for name, why in outcome.removed.items():
        if why:
            line = safe(f"The VM {name} still exists: {why}")
            context.console.print(line, style="yellow", soft_wrap=True)
    names = [project.root.name for project in with_vm(home(context.project))] if local else outcome.used
    if names and not outcome.removed:
        remedy = (
            "`selab vm halt --matrix` stops them, `selab vm destroy --matrix` removes them."
            if local
            else "The workers have them."
        )
        line = f"{len(names)} VM{'s' * (len(names) > 1)} for the next time: {', '.join(names)}. {remedy}"
        context.console.print(safe(line), style="dim", soft_wrap=True)
