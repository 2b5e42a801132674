"""`selab completion`, and the names that the shell completes: scenarios, policies, images and runs of the
current project, and base policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from selab.project import Project

RUNS = 20
"""Number of runs that completion offers: the newest, as `selab history` lists them."""


def scenarios(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from selab.scenario.load import scenario_names

    return _beginning(incomplete, context, scenario_names)


def policies(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from selab.policy.module_files import policy_names

    return _beginning(incomplete, context, policy_names)


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from selab.history import History

    return _beginning(
        incomplete,
        context,
        lambda project: ["last", *(run.document.run for run in History.of(project).latest(RUNS))],
    )


def images(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return _beginning(
        incomplete, context, lambda project: sorted(path.name for path in project.images.glob("*/"))
    )


def bases(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names and fingerprints of the base policies in the cache, which belong to no project."""
    from selab.errors import SelabError
    from selab.host.cache import cache_dir
    from selab.policy.known_bases import completions

    try:
        return [word for word in completions(cache_dir()) if word.startswith(incomplete)]
    except (SelabError, OSError):
        return []


def _beginning(
    incomplete: str, context: click.Context, names: Callable[[Project], Iterable[str]]
) -> list[str]:
    """Return the names that begin with `incomplete`, or none if there is no project: a shell cannot use an
    error."""
    from selab.errors import SelabError
    from selab.project import find_project

    try:
        project = find_project(context.find_root().params.get("project") or Path.cwd())
        return [name for name in names(project) if name.startswith(incomplete)]
    except SelabError:
        return []


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete commands, options, and the names of scenarios, policies and
    runs.

    \b
    Example:  eval "$(selab completion bash)"
    """
    from click.shell_completion import get_completion_class

    from selab.cli.root import cli

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(completion_class(cli, {}, "selab", "_SELAB_COMPLETE").source())
