"""`selab box`: the boxes that selab builds itself."""

from __future__ import annotations

import click

from selab.cli.session import Context, pass_context
from selab.report.markup import safe


def _default() -> str:
    from selab.vm.boxes import fallback

    return fallback()


@click.group()
def box() -> None:
    """Build, list and remove the boxes that selab builds from packages.

    `selab run` builds one if no other box is available.

    \b
    Example:
      selab box build
    """


@box.command()
@click.argument("profile", default=_default)
@pass_context
def build(context: Context, profile: str) -> None:
    """Build the box PROFILE (debian13), unless it exists already.

    \b
    Example:
      selab box build debian13
    """
    from selab.vm.box import build_box

    built = build_box(profile, context.project.images, context.progress)
    context.out.print(safe(f"{built.name} {built.file}"))


@box.command()
@click.argument("profile", default=_default)
@pass_context
def name(context: Context, profile: str) -> None:
    """Print the name of the box PROFILE (debian13), built or not. It contains the hash of the recipe and
    images, for use as a cache key.

    \b
    Example:
      selab box name
    """
    from selab.vm.box import box_name

    click.echo(box_name(profile, context.project.images))


@box.command("list")
@pass_context
def list_(context: Context) -> None:
    """List the boxes that were built here, newest first: name, size, directory.

    \b
    Example:
      selab box list
    """
    from selab.vm.box import list_boxes

    for made in list_boxes():
        context.out.print(safe(f"{made.name} {made.file.stat().st_size / 2**20:.0f} MiB {made.directory}"))


@box.command()
@click.argument("name")
@pass_context
def remove(context: Context, name: str) -> None:
    """Remove the box NAME from the cache. Vagrant's copy of it, and VMs made from it, remain.

    \b
    Example:
      selab box remove selab-debian13-0123456789ab
    """
    from selab.vm.box import remove_box

    remove_box(name)
    context.console.print(safe(f"removed {name}"))
