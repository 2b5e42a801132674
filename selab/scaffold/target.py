"""What a new policy is written for: the base policy that is known, or what the project's box will have."""

from __future__ import annotations

from dataclasses import dataclass

from selab.analysis.offline import find_base
from selab.container.label import runtime_file_type
from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.interfaces import InterfaceTable, interface_table
from selab.policy.query.ports import Ports, binding_interface, port_type, ports_of
from selab.progress import Progress
from selab.project import Project
from selab.vm.box import find_box
from selab.vm.boxes import fallback, preferred, profiles
from selab.vm.state import State

TEMPLATE = "container_domain_template"
FILES = "container_file_t"
"""What both call the files of containers."""


@dataclass(frozen=True)
class Known:
    """A base policy, as far as a new policy asks."""

    base: BasePolicy
    table: InterfaceTable
    ports: Ports


@dataclass(frozen=True)
class Target:
    """`arguments` are how many the template takes, and `why` says how that is known; `known` is the base policy, if any is."""

    arguments: int
    why: str
    known: Known | None = None

    @property
    def file_type(self) -> str:
        """The type that container runtimes give to a container's files."""
        return (runtime_file_type(self.known.base.directory / "contexts") if self.known else "") or FILES

    def port_type(self, protocol: str, number: int) -> str:
        """The type of a port; nothing where no base policy is known."""
        return port_type(self.known.ports, protocol, number) if self.known else ""

    def binding_interface(self, protocol: str, type_: str) -> str:
        return binding_interface(self.known.table, protocol, type_) if self.known else ""

    def has(self, name: str) -> bool:
        """Whether the base policy has a module or a type for the domain of a policy `name`."""
        if self.known is None:
            return False
        base = self.known.base
        return (base.directory / "cil" / f"{name}.cil").exists() or base.declares_type(f"{name}_t")


def target_of(project: Project, progress: Progress) -> Target:
    """What is known, or else assumed. Raises SelabError where the base policy has no template for containers."""
    base = find_base(project, progress)
    if base is None:
        profile, why = _expected(project)
        arguments = profiles()[profile].template_arguments
        return Target(
            arguments,
            f"No base policy is known yet: {TEMPLATE} gets {_counted(arguments)}, as on {profile}, since {why}.",
        )
    with progress.step("Reading what the interfaces of the base policy grant"):
        known = Known(base, interface_table(base), ports_of(base))
    template = known.table.get(TEMPLATE)
    if template is None:
        raise SelabError(
            f"The base policy has no {TEMPLATE}.",
            hint="Does the guest have container-selinux? See `selab doctor`.",
        )
    arguments = len(template.parameters)
    return Target(
        arguments,
        f"{TEMPLATE} gets {_counted(arguments)}, as the base policy of the last guest has it.",
        known,
    )


def _counted(arguments: int) -> str:
    return f"{arguments} argument{'s' * (arguments > 1)}"


def _expected(project: Project) -> tuple[str, str]:
    """The profile of the project's VM, or the one that it will have, and how that is known; the network is not asked."""
    parameters = State(project).vagrant_parameters()
    if parameters and parameters.profile in profiles():
        return parameters.profile, "that is the project's VM"
    if (box := project.config.vm.box) in profiles():
        return box, "selab.yaml asks for it"
    if find_box(fallback(), project.images):
        return fallback(), "its box is built already"
    return preferred(), "that is the first choice where selab.yaml names no box"
