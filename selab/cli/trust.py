"""`selab trust`, and the question that other commands ask before they use something foreign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.project import Project
    from selab.vm.consent import Foreign


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--list", "list_", is_flag=True, help="List what you have allowed.")
@click.option("--remove", metavar="NAME", help="Forget a directory or a digest that you allowed.")
@pass_context
def trust(context: Context, directory: Path | None, yes: bool, list_: bool, remove: str | None) -> int:
    """Allow the project in DIRECTORY, by default the current one, to run code as you.

    selab does not use a project of another user unless you allow it. It asks before Vagrant runs a
    Vagrantfile that is not selab's own, or a box from `vm.source`, and before it logs in to a host that
    selab.yaml names. It remembers your answer until the file or the setting changes.

    \b
    Example:
      selab trust
      selab trust --list
    """
    from selab.errors import EXIT_PASS, InputError
    from selab.host import trusted
    from selab.project import belongs_to_user, find_project, root_above
    from selab.vm import consent

    if remove is not None:
        if not trusted.forget(remove):
            raise InputError(
                f"You have not allowed '{remove}'.", hint="`selab trust --list` shows what you allowed."
            )
        return EXIT_PASS
    if list_:
        for name in trusted.directories():
            context.out.print(safe(f"directory {name}"))
        for digest, description in trusted.digests().items():
            context.out.print(safe(f"{digest[:16]} {description}"))
        return EXIT_PASS
    root = (directory or context.project_dir or Path.cwd()).resolve()
    place = root_above(root)
    if place and not belongs_to_user(place):
        question = f"The project in {place} belongs to another user. selab would use it with your rights."
        _confirm(question, yes, str(place))
        trusted.allow_directory(place)
    project = find_project(root, context.vagrant_dir)
    for each in consent.foreign(project):
        _confirm(_question(each), yes, each.name)
        consent.allow(each)
    context.console.print(safe(f"Allowed: {project.root}"))
    return EXIT_PASS


def ask_about(context: Context, project: Project) -> None:
    """Ask the user about each thing that the project's machine needs and that is not allowed yet.

    Without a terminal, or if the user declines, the machine raises NotAllowed when it needs the thing.
    """
    from selab.vm import consent

    for each in consent.foreign(project):
        allowed = context.trusts_vagrantfile and not project.config.vm.host
        if allowed or (_is_interactive() and click.confirm(_question(each), err=True)):
            consent.allow(each)


def _confirm(question: str, yes: bool, name: str) -> None:
    """Return if the user says yes. Raises NotAllowed otherwise."""
    from selab.vm.consent import NotAllowed

    if yes or (_is_interactive() and click.confirm(question, err=True)):
        return
    raise NotAllowed(f"Nothing was allowed: {name}.", question, "Run `selab trust -y` if you are sure.")


def _question(each: Foreign) -> str:
    """Return the text of the question. The names in it come from the project."""
    from selab.report.text import plain

    return plain(f"The project needs {each.name}. {each.effect} {each.advice} Allow it?")


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
