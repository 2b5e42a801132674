"""`selab init`, `selab schema` and `selab completion`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from selab.cli.session import Context, pass_context


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@pass_context
def init(context: Context, directory: Path) -> None:
    """Make DIRECTORY (this one, if none is given) a project that works: Apache in a container, with a draft of its policy.

    Overwrites nothing: where one of its files is there already, it writes none.

    \b
    Example:  selab init lab
    """
    from selab.report.markup import safe
    from selab.scaffold.example import init

    for name in init(directory):
        context.out.print(safe(str(directory / name)))
    there = "" if directory.resolve() == Path.cwd() else f"cd {shlex.quote(str(directory))} && "
    context.console.print(safe(f"Then: `{there}selab run apache --setenforce no`"))


@click.command()
@click.argument("kind", type=click.Choice(["project", "scenario", "matrix"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of selab.yaml (`project`), a scenario or a matrix, for editors that check YAML.

    \b
    Example:  selab schema scenario
    """
    from selab.cli.schema import schema

    click.echo(schema(kind), nl=False)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, and the names of scenarios, policies and runs.

    \b
    Example:  eval "$(selab completion bash)"
    """
    from click.shell_completion import get_completion_class

    from selab.cli.root import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "selab", "_SELAB_COMPLETE").source())
