"""`selab new`: files to begin with."""

from __future__ import annotations

import click

from selab.cli.complete import images
from selab.cli.context import Context, pass_context
from selab.report.markup import safe


@click.group()
def new() -> None:
    """Write a policy or a scenario to begin with. Overwrites nothing.

    \b
    Example:
      selab new policy web --for nginx:1.27
      selab new scenario web --from-container web
    """


@new.command()
@click.argument("name")
@click.option(
    "--for",
    "image",
    metavar="IMAGE",
    shell_complete=images,
    help="Ports and volumes of a directory of images/, or of an image that the guest's Docker has.",
)
@pass_context
def policy(context: Context, name: str, image: str | None) -> None:
    """Write policies/NAME.te: a container's domain that fits the guest's policy, and what the IMAGE says that it needs.

    The base policy of the last run says how many arguments the template takes, and which interface is for a port. No VM is started.

    \b
    Example:
      selab new policy web --for httpd
    """
    from selab.skeleton.policy import new_policy
    from selab.vm.machine import Machine

    made = new_policy(context.project, name, image, lambda: Machine(context.project).connect(), context.progress)
    for remark in made.remarks:
        context.progress.note(remark)
    context.out.print(safe(made.file))
    context.progress.note(f"Then: `selab check {name}`, and `selab new scenario {name}` for something to run under it.")
