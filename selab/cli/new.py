"""`selab new`: files to begin with."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from selab.cli.completion import images, policies
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.group()
def new() -> None:
    """Write a policy or a scenario to begin with. Overwrites nothing.

    \b
    Example:
      selab new policy web --for nginx:1.27
      selab new scenario web --from-container web
    """


@new.command(short_help="A container's domain that fits the guest's policy.")
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
    from selab.scaffold.policy import new_policy
    from selab.vm.select import machine_of

    made = new_policy(
        context.project,
        name,
        image,
        lambda: contextlib.closing(machine_of(context.project).connect()),
        context.progress,
    )
    for remark in made.remarks:
        context.progress.note(remark)
    context.out.print(safe(made.file))
    context.progress.note(
        f"Then: `selab check {name}`, and `selab new scenario {name}` for something to run under it."
    )


@new.command(short_help="Empty, or after a container or a Compose file.")
@click.argument("name")
@click.option(
    "--policy",
    metavar="NAME|none",
    shell_complete=policies,
    help="Its policy; without this, the one of the scenario's name.",
)
@click.option(
    "--from-container",
    "container",
    metavar="ID|FILE|-",
    help="A container of this machine, or what `inspect` says of one.",
)
@click.option(
    "--from-compose",
    "compose",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A service of a Compose file.",
)
@click.option("--service", metavar="NAME", help="Which one, where the Compose file has several.")
@pass_context
def scenario(
    context: Context,
    name: str,
    policy: str | None,
    container: str | None,
    compose: Path | None,
    service: str | None,
) -> None:
    """Write scenarios/NAME.yaml: image, ports, volumes and whatever else a container has, and a first step.

    What a scenario cannot have is named, there and here, and what looks like a secret is left out. Of the host, only directories of
    the project become volumes.

    \b
    Example:
      selab new scenario web --from-container web
      selab new scenario db --from-compose compose.yaml --service db
    """
    from selab.scaffold.scenario import Source, new_scenario

    if container is not None and compose is not None:
        raise click.UsageError("Choose one of --from-container and --from-compose.")
    if service is not None and compose is None:
        raise click.UsageError("--service is of a Compose file: name that with --from-compose.")
    made = new_scenario(context.project, name, policy, Source(container, compose, service))
    for line in made.left:
        context.progress.note(f"left out or changed: {line}")
    context.out.print(safe(made.file))
    context.progress.note(f"Then: `selab run {name} --setenforce no`")
