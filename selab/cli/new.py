"""`selab new`: write a first version of a policy or a scenario."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selab.cli.completion import images, policies
from selab.cli.session import Context, pass_context
from selab.report.markup import safe

if TYPE_CHECKING:
    from selab.scaffold.policy import NewPolicy


@click.group()
def new() -> None:
    """Write a first version of a policy or a scenario. Overwrites nothing.

    \b
    Example:
      selab new policy web --for nginx:1.27
      selab new scenario web --from-container web
    """


@new.command(short_help="A domain for a container or a service that fits the guest's policy.")
@click.argument("name")
@click.option(
    "--for",
    "image",
    metavar="IMAGE",
    shell_complete=images,
    help="Ports and volumes of a directory of images/, or of an image that the guest's Docker has.",
)
@click.option("--cil", "in_cil", is_flag=True, help="Write policies/NAME.cil, a block as udica writes it.")
@click.option(
    "--for-service",
    "unit",
    metavar="UNIT",
    help="A domain for a service of the guest: its program, files, user, ports and sockets.",
)
@click.option(
    "--package",
    "packages",
    metavar="PACKAGE",
    multiple=True,
    help="A package to install in the guest for --for-service, if it is missing.",
)
@pass_context
def policy(
    context: Context, name: str, image: str | None, in_cil: bool, unit: str | None, packages: tuple[str, ...]
) -> None:
    """Write policies/NAME.te: a domain for a container that fits the guest's policy, with what the IMAGE
    declares that it needs. With --cil, the block inherits `container` if policies/templates has that block.

    With --for-service, write a domain for a service of the guest, which must be running, and
    policies/NAME.fc with the service's program and files.

    The base policy of the last run, or of the machine if it is an existing host, determines which interface
    covers a port. No VM is started.

    \b
    Example:
      selab new policy web --for httpd
      selab new policy db --cil
      selab new policy queue --for-service beanstalkd --package beanstalkd
    """
    if unit is not None and (image is not None or in_cil):
        raise click.UsageError("--for-service goes neither with --for nor with --cil.")
    _require_service(packages, unit)
    policy_file = (
        _for_image(context, name, image, in_cil)
        if unit is None
        else _for_service(context, name, unit, packages)
    )
    for remark in policy_file.remarks:
        context.progress.note(remark)
    scenario = f"selab new scenario {name}"
    if unit is not None:
        scenario = " ".join([scenario, "--for-service", unit, *(f"--package {each}" for each in packages)])
    context.out.print(safe(policy_file.file))
    context.progress.note(f"Next: `selab check {name}`, and `{scenario}` for a workload to run under it.")


def _require_service(packages: tuple[str, ...], unit: str | None) -> None:
    if packages and unit is None:
        raise click.UsageError("--package needs a service: name it with --for-service.")


def _for_image(context: Context, name: str, image: str | None, in_cil: bool) -> NewPolicy:
    from selab.scaffold.policy import new_policy

    return new_policy(
        context.project,
        name,
        image,
        lambda: contextlib.closing(context.machine.connect()),
        context.progress,
        in_cil=in_cil,
    )


def _for_service(context: Context, name: str, unit: str, packages: tuple[str, ...]) -> NewPolicy:
    from selab.scaffold.service import new_service_policy, service_source

    source = service_source(unit, packages)
    return new_service_policy(context.project, name, source, context.machine, context.progress)


@new.command(short_help="An empty scenario, or one for existing containers or a service.")
@click.argument("name")
@click.option(
    "--policy",
    metavar="NAME|none",
    shell_complete=policies,
    help="The scenario's policy; by default the policy with the scenario's name, and for each of several "
    "containers the policy SCENARIO_CONTAINER.",
)
@click.option(
    "--from-container",
    "container",
    metavar="ID|FILE|-",
    help="A container on this machine, or the output of `inspect` for one.",
)
@click.option(
    "--from-pod",
    "pod",
    metavar="ID|FILE|-",
    help="A pod of Podman or crictl on this machine, or the output of `inspect` for it and its containers.",
)
@click.option(
    "--from-compose",
    "compose",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The services of a Compose file.",
)
@click.option(
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    help="A service of the Compose file; by default all without a profile. Repeat it for several.",
)
@click.option(
    "--profile",
    "profiles",
    metavar="NAME",
    multiple=True,
    help="Take the services of this profile of the Compose file too.",
)
@click.option(
    "--from-kube",
    "kube",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The pod of a workload in a Kubernetes manifest: Pod, Deployment, StatefulSet, DaemonSet, Job, ...",
)
@click.option(
    "--object",
    "workload",
    metavar="KIND/NAME",
    help="The workload to take if the manifest has several.",
)
@click.option(
    "--for-service", "unit", metavar="UNIT", help="A service of the guest, in the place of a container."
)
@click.option(
    "--package",
    "packages",
    metavar="PACKAGE",
    multiple=True,
    help="A package that a run installs in the guest for --for-service, if it is missing.",
)
@pass_context
def scenario(
    context: Context,
    name: str,
    policy: str | None,
    container: str | None,
    pod: str | None,
    compose: Path | None,
    services: tuple[str, ...],
    profiles: tuple[str, ...],
    kube: Path | None,
    workload: str | None,
    unit: str | None,
    packages: tuple[str, ...],
) -> None:
    """Write scenarios/NAME.yaml: the image, ports, volumes and other settings of each container, or a service
    of the guest, and a first step for each.

    selab reports what a scenario cannot represent, in the file and on the terminal, and leaves out what looks
    like a secret. Only directories of the project become volumes.

    \b
    Example:
      selab new scenario web --from-container web
      selab new scenario shop --from-pod shop
      selab new scenario shop --from-compose compose.yaml
      selab new scenario db --from-compose compose.yaml --service db
      selab new scenario web --from-kube web.yaml --object Deployment/web
      selab new scenario queue --for-service beanstalkd --package beanstalkd
    """
    from selab.scaffold.scenario import Source, new_scenario
    from selab.scaffold.service import service_source

    if sum(given is not None for given in (container, pod, compose, kube, unit)) > 1:
        raise click.UsageError(
            "Choose one of --from-container, --from-pod, --from-compose, --from-kube and --for-service."
        )
    _require_service(packages, unit)
    if workload is not None and kube is None:
        raise click.UsageError("--object needs a Kubernetes manifest: name it with --from-kube.")
    if (services or profiles) and compose is None:
        raise click.UsageError("--service and --profile need a Compose file: name it with --from-compose.")
    if services and profiles:
        raise click.UsageError("Choose services either with --service or with --profile.")
    of_guest = service_source(unit, packages) if unit is not None else None
    source = Source(container, pod, compose, services, profiles, kube, workload, of_guest)
    scenario_file = new_scenario(context.project, name, policy, source)
    for line in scenario_file.left:
        context.progress.note(f"left out or changed: {line}")
    context.out.print(safe(scenario_file.file))
    context.progress.note(f"Next: `selab run {name} --setenforce no`")
