"""Select the machine of a project: its own VM, or an existing host."""

from __future__ import annotations

from selab.machine import MachineControl
from selab.project import Project

UNREACHABLE = "unreachable"
"""The status of an existing host that does not answer."""


def machine_of(project: Project) -> MachineControl:
    """Return the machine that selab.yaml configures for `project`."""
    if project.config.vm.host:
        from selab.vm.existing import ExistingHost

        return ExistingHost(project, project.config.vm.host)
    from selab.vm.virtual_machine import VirtualMachine

    return VirtualMachine(project)
