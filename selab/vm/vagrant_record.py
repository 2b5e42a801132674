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

    def require_own_vm(self) -> None:
        """Raise SelabError if Vagrant's record, which selab made, names the VM of another project.

        `git pull` can put an id into the record. libvirt knows the name of its domain; the VM of another
        provider is refused only if it is not this project's provider. A Vagrantfile of the user may name the
        VM as it likes.
        """
        path = self._project.vagrant_dir / "Vagrantfile"
        if not path.exists() or not vagrantfile.is_ours(self._project):
            return
        known, parameters = self._files.remembered(), self._files.vagrant_parameters()
        names = {"", self._files.domain_name, f"{parameters.name}_default" if parameters else ""}
        for provider, uuid in self._files.recorded_vms():
            if known and (known.provider, known.domain) == (provider, uuid):
                continue
            name = libvirt.domain_name(uuid) if provider == "libvirt" else ""
            if name not in names or provider != self.provider():
                raise SelabError(
                    ".vagrant names a VM that is not this project's.",
                    f"Its id {uuid} is that of the {provider} VM '{name}'."
                    if name
                    else f"{provider}: {uuid}",
                    "If the id came with a repository, remove .vagrant: selab finds its own VM again.",
                )

    def provider(self) -> str:
        """Return the provider that the VM has or, if there is none yet, that it will have."""
        parameters = self._files.vagrant_parameters()
        provider = (parameters and parameters.provider) or self._project.config.vm.provider
        return default_provider() if provider == "auto" else provider
