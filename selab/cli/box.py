"""`selab box`: the boxes that selab builds itself."""

from __future__ import annotations

import click

from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.group()
def box() -> None:
    """Build, list and remove the boxes that selab makes from packages.

    `selab run` builds one by itself where no other box can be had.

    \b
    Example:
      selab box build
    """


@box.command()
@click.argument("profile", default="debian13")
@pass_context
def build(context: Context, profile: str) -> None:
    """Build the box PROFILE (debian13), unless it is there already.

    \b
    Example:
      selab box build debian13
    """
    from selab.vm.box import build_box

    made = build_box(profile, context.project.images, context.progress)
    context.out.print(safe(f"{made.name} {made.file}"))


@box.command()
@click.argument("profile", default="debian13")
@pass_context
def name(context: Context, profile: str) -> None:
    """Print the name that the box PROFILE (debian13) has, or will have: the hash of its recipe and images is in it, a key for a cache.

    \b
    Example:
      selab box name
    """
    from selab.vm.box import box_name

    click.echo(box_name(profile, context.project.images))


@box.command("list")
@pass_context
def list_(context: Context) -> None:
    """List the boxes that were built here, the newest first: name, size, directory.

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
    """Remove the box NAME from the cache. Vagrant's copy of it, and VMs made from it, stay.

    \b
    Example:
      selab box remove selab-debian13-0123456789ab
    """
    from selab.vm.box import remove_box

    remove_box(name)
    context.console.print(safe(f"removed {name}"))
