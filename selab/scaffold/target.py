"""Find out what a new policy is written for: the known base policy, if there is one."""

from __future__ import annotations

from dataclasses import dataclass

from selab.analysis.offline import find_base
from selab.container.label import runtime_file_type
from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.container_template import FILES
from selab.policy.fc_source import equivalences, looked_up
from selab.policy.interfaces import InterfaceTable, interface_table
from selab.policy.known_bases import origin
from selab.policy.query.ports import Ports, binding_interface, port_type, ports_of
from selab.progress import Progress
from selab.project import Project


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

    remark: which base policy it is, for the user.
    known: base policy, or None if it is unknown.
    """

    remark: str
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

    def may_have(self, interface: str) -> bool:
        """Return whether the base policy has an interface, or is unknown."""
        return self.known is None or interface in self.known.table

    def require(self, interface: str, package: str) -> None:
        """Raise SelabError if the base policy lacks an interface, which is in the headers of `package`."""
        if not self.may_have(interface):
            raise SelabError(
                f"The base policy has no {interface}.",
                hint=f"Check that the guest has {package}: run `selab doctor`.",
            )

    def looked_up(self, path: str) -> str:
        """Return the path by which the guest looks up the label of `path`."""
        return looked_up(path, equivalences(self.known.base)) if self.known else path

    def file_contexts(self) -> dict[tuple[str, str], str]:
        """Return the types of the base policy's file contexts, by pattern and kind."""
        specs = self.known.base.file_contexts() if self.known else ()
        return {(spec.pattern, spec.kind): spec.type for spec in specs}

    def has_attribute(self, name: str) -> bool:
        """Return whether the base policy has an attribute, or is unknown."""
        return self.known is None or name in self.known.base.declared("typeattribute")

    def has(self, name: str) -> bool:
        """Return whether the base policy has a module `name` or a type `name_t`."""
        if self.known is None:
            return False
        base = self.known.base
        return (base.directory / "cil" / f"{name}.cil").exists() or base.declares_type(f"{name}_t")


def target_of(project: Project, progress: Progress) -> Target:
    """Return what is known about the guest's policy."""
    base = find_base(project, progress)
    if base is None:
        return Target(
            "The base policy is unknown, so the policy names no interface for a port. A run makes it known."
        )
    with progress.step("Reading the interfaces of the base policy"):
        known = Known(base, interface_table(base), ports_of(base))
    return Target(f"The policy is written for the base policy {origin(base)}.", known)
