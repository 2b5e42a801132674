"""`selab init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from selab.cli.session import Context, pass_context


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@pass_context
def init(context: Context, directory: Path) -> None:
    """Create a working project in DIRECTORY (by default this one): Apache in a container, with a draft of its
    policy.

    Overwrites nothing: if one of the files already exists, selab writes none.

    \b
    Example:  selab init lab
    """
    from selab.report.markup import safe
    from selab.scaffold.example import init

    for name in init(directory):
        context.out.print(safe(str(directory / name)))
    there = "" if directory.resolve() == Path.cwd() else f"cd {shlex.quote(str(directory))} && "
    context.console.print(safe(f"Next: `{there}selab run apache --setenforce no`"))
