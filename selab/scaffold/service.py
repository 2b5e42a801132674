"""Write a new policy for a service of the guest, which the guest's systemd and package manager describe."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from selab.errors import InputError, SelabError, Unreachable
from selab.host.yamlfile import first_problem
from selab.machine import MachineControl
from selab.progress import Progress
from selab.project import Project
from selab.scaffold.image_config import quoted
from selab.scaffold.new_file import create
from selab.scaffold.policy import NewPolicy, free_policy, require_unused
from selab.scaffold.service_policy import service_policy
from selab.scaffold.target import target_of
from selab.scenario.service import PackageName, unit_name
from selab.service.description import ServiceDescription, describe
from selab.service.packages import ensure_packages

_PACKAGES: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[PackageName, ...])


@dataclass(frozen=True)
class ServiceSource:
    """A service of the guest.

    unit: full name of its unit.
    packages: packages to install before, if they are missing.
    """

    unit: str
    packages: tuple[str, ...] = ()


def service_source(unit: str, packages: Sequence[str]) -> ServiceSource:
    """Return the service that the user named. Raises InputError if a name cannot be that of a service."""
    try:
        name = unit_name(unit)
    except ValueError as error:
        raise InputError(
            f"{quoted(unit)} cannot be the service: {error}.", hint="Name a unit such as nginx.service."
        ) from error
    try:
        return ServiceSource(name, _PACKAGES.validate_python(packages))
    except ValidationError as error:
        raise InputError(
            f"{quoted(list(packages))} cannot be the packages: {first_problem(error)[1]}.",
            hint="Name a package such as nginx.",
        ) from error


def described(source: ServiceSource, machine: MachineControl, progress: Progress) -> ServiceDescription:
    """Describe the service of the machine's guest, and install its packages there if they are missing.

    Raises Unreachable if the guest does not run.
    """
    try:
        guest = machine.connect()
    except SelabError as error:
        raise Unreachable(
            "The guest cannot describe the service: the VM is unreachable.",
            error.what,
            "Start it: `selab vm up`.",
        ) from error
    with contextlib.closing(guest):
        ensure_packages(
            guest,
            source.packages,
            progress,
            lambda: machine.online(guest, progress),
            managed=machine.managed,
        )
        with progress.step(f"Asking the guest about {source.unit}"):
            return describe(source.unit).of(guest)


def new_service_policy(
    project: Project, name: str, source: ServiceSource, machine: MachineControl, progress: Progress
) -> NewPolicy:
    """Write a new policy for a service: its .te, and its .fc with the service's files.

    Raises InputError, without writing anything, if the name is invalid or taken, or the service is unknown.
    """
    path = free_policy(project, name, "te")
    service = described(source, machine, progress)
    target = target_of(project, progress)
    require_unused(target, name)
    policy = service_policy(name, service, target)
    file = create(project, path, policy.te)
    create(project, path.with_suffix(".fc"), policy.fc)
    left = (f"{source.unit}: {line}." for line in service.left)
    return NewPolicy(file, (target.remark, *policy.remarks, *left))
