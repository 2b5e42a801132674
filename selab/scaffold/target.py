"""Find out what a new policy is written for: the known base policy, or the project's future one."""

from __future__ import annotations

from dataclasses import dataclass

from selab.analysis.offline import find_base
from selab.container.label import runtime_file_type
from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.container_template import FILES, TEMPLATE
from selab.policy.interfaces import InterfaceTable, interface_table
from selab.policy.known_bases import origin
from selab.policy.query.ports import Ports, binding_interface, port_type, ports_of
from selab.progress import Progress
from selab.project import Project
from selab.vm.box import find_box
from selab.vm.boxes import fallback, preferred, profiles
from selab.vm.state import State


@dataclass(frozen=True)
class Known:
    """The parts of a base policy that a new policy needs.

    base: base policy.
    table: interfaces of its headers.
    ports: types of its ports.
    """

    base: BasePolicy
    table: InterfaceTable
    ports: Ports


@dataclass(frozen=True)
class Target:
    """What a new policy is written for.

    arguments: number of arguments that the template takes.
    why: how that is known.
    known: base policy, or None if it is unknown.
    """

    arguments: int
    why: str
    known: Known | None = None

    @property
    def file_type(self) -> str:
        """Return the type that container runtimes give to a container's files."""
        return (runtime_file_type(self.known.base.directory / "contexts") if self.known else "") or FILES

    def port_type(self, protocol: str, number: int) -> str:
        """Return the type of a port, or an empty string if the base policy is unknown."""
        return port_type(self.known.ports, protocol, number) if self.known else ""

    def binding_interface(self, protocol: str, type_: str) -> str:
        return binding_interface(self.known.table, protocol, type_) if self.known else ""

    def has(self, name: str) -> bool:
        """Return whether the base policy has a module `name` or a type `name_t`."""
        if self.known is None:
            return False
        base = self.known.base
        return (base.directory / "cil" / f"{name}.cil").exists() or base.declares_type(f"{name}_t")


def target_of(project: Project, progress: Progress) -> Target:
    """Return what is known or assumed about the guest's policy.

    Raises SelabError if the base policy has no template for containers.
    """
    base = find_base(project, progress)
    if base is None:
        profile, why = _expected(project)
        arguments = profiles()[profile].template_arguments
        return Target(
            arguments,
            f"The base policy is unknown: {TEMPLATE} gets {_counted(arguments)}, as on {profile}: {why}.",
        )
    with progress.step("Reading the interfaces of the base policy"):
        known = Known(base, interface_table(base), ports_of(base))
    template = known.table.get(TEMPLATE)
    if template is None:
        raise SelabError(
            f"The base policy has no {TEMPLATE}.",
            hint="Check that the guest has container-selinux: run `selab doctor`.",
        )
    arguments = len(template.parameters)
    return Target(
        arguments,
        f"{TEMPLATE} gets {_counted(arguments)}, as in the base policy {origin(base)}.",
        known,
    )


def _counted(arguments: int) -> str:
    return f"{arguments} argument{'s' * (arguments > 1)}"


def _expected(project: Project) -> tuple[str, str]:
    """Return the profile of the project's present or future VM, and how it is known, without network."""
    parameters = State(project).vagrant_parameters()
    if parameters and parameters.profile in profiles():
        return parameters.profile, "the project's VM has that profile"
    if (box := project.config.vm.box) in profiles():
        return box, "selab.yaml names it"
    if find_box(fallback(), project.images):
        return fallback(), "its box is built already"
    return preferred(), "it is the default if selab.yaml names no box"
