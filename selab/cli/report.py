"""`selab report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.cli.completion import runs as run_names
from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.history import StoredRun
    from selab.matrix.plan import Ended


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=run_names)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The page to write.",
)
@click.option("--force", is_flag=True, help="Also write over a file that is no page of selab's.")
@pass_context
def report(context: Context, names: tuple[str, ...], file: Path, force: bool) -> None:
    """Write one page about each RUN (or the last one), which a reviewer opens in a browser: nothing else is needed to read it.

    \b
    Examples:  selab report --html review.html
               selab report last~1 last --html review.html
    """
    from selab.history import History

    refuse_others(file, force)
    history = History.of(context.project)
    stored = sorted(
        {one.document.run: one for one in map(history.find, names or ("last",))}.values(),
        key=lambda one: one.number,
    )
    context.out.print(safe(write_page(context, file, stored)))


def refuse_others(file: Path, force: bool) -> None:
    """Raise InputError where `file` is there and no page of selab's, unless `force`."""
    from selab.errors import InputError
    from selab.report.html import MARKER

    if file.exists() and not force and MARKER not in file.read_text(errors="replace")[:200]:
        raise InputError(
            "There is a file that selab has not written.", str(file), "Name another one, or say --force."
        )


def write_page(
    context: Context, file: Path, stored: Sequence[StoredRun], matrix: Sequence[Ended] = ()
) -> str:
    """Write the page about the runs, the oldest first; a line that says so. `matrix` is what they are runs of, if any."""
    from selab.analysis.explain import AdviceCache
    from selab.host.local import LocalHost
    from selab.report.html import PageRun, page

    study = AdviceCache()
    with context.progress.step("Asking for advice"):
        made = [
            PageRun(
                one.document,
                one.sources.get("te", ""),
                tuple(line.decode("utf-8", "backslashreplace") for line in one.records),
                tuple(study.advice(context.project, one)),
            )
            for one in stored
        ]
    LocalHost().put(page(made, matrix).encode("utf-8", "backslashreplace"), str(file.resolve()))
    return f"{file} is written: {len(made)} run{'s' * (len(made) != 1)}."
