"""What Vagrant needs to know about the VM: selab restores what was removed."""

from __future__ import annotations

import dataclasses

from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project
from selab.vm import boxes, libvirt, vagrantfile
from selab.vm.provider import default_provider
from selab.vm.ssh_port import free_port
from selab.vm.state import State


class VagrantRecord:
    """The parameters and the identity of the VM of `project`, whose records are `files`."""

    def __init__(self, project: Project, files: State) -> None:
        self._project = project
        self._files = files

    def restore_parameters(self, progress: Progress) -> None:
        """Restore Vagrant's parameters, or the kernel of the VM's box, if they were removed."""
        parameters = self._files.vagrant_parameters()
        if not vagrantfile.is_ours(self._project) or (parameters and vagrantfile.has_kernel(parameters)):
            return
        provider = self.provider()
        progress.note(
            "the VM's box was removed"
            if parameters
            else "Vagrant's parameters for the VM were removed: writing them again"
        )
        box = boxes.choose(self._project, provider, progress)
        if parameters is None:
            parameters = vagrantfile.parameters(
                box, provider, self._files.name, self._project.config.vm, progress
            )
            port = libvirt.forwarded_port(self._files.domain) if provider == "libvirt" else 0
            parameters = dataclasses.replace(parameters, port=port or parameters.port)
            self._files.keep_vagrant_parameters(parameters)
        if not vagrantfile.has_kernel(parameters):
            hint = "`selab vm destroy` removes the VM, and the next run creates a new one."
            raise SelabError(
                "The VM cannot be started: its kernel was removed together with its box.",
                parameters.kernel or "",
                hint,
            )

    def move_port(self, progress: Progress) -> None:
        """Give the VM, which is off, another SSH port if another process uses its own."""
        parameters = self._files.vagrant_parameters()
        if parameters is None or (old := parameters.port) is None:
            return
        new = free_port(self._files.name, old)
        if new == old:
            return
        progress.note(f"another process uses port {old}: SSH now uses port {new}")
        if self.provider() == "libvirt":
            libvirt.move_forward(self._files.domain, old, new)
        self._files.keep_vagrant_parameters(dataclasses.replace(parameters, port=new))

    def readopt(self) -> bool:
        """Restore Vagrant's record of the VM if libvirt still has the VM. Return whether it was restored."""
        uuid = libvirt.domain_uuid(self._files.domain_name) if self.provider() == "libvirt" else ""
        if not uuid or not self._files.key.is_file():
            return False
        self._files.adopt(uuid)
        return True

    def provider(self) -> str:
        """Return the provider that the VM has or, if there is none yet, that it will have."""
        parameters = self._files.vagrant_parameters()
        provider = (parameters and parameters.provider) or self._project.config.vm.provider
        return default_provider() if provider == "auto" else provider
