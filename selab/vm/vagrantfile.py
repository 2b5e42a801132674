"""The Vagrantfile of a project, and the parameters that selab passes to it."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
from pathlib import Path

from selab.errors import SelabError
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.project import Project, VmConfig
from selab.vm import kvm
from selab.vm.boxes import Choice
from selab.vm.provider import virtualbox_closes_loopback
from selab.vm.ssh_port import free_port

EMULATED = "mitigations=off tsc=reliable clocksource=tsc"
"""Kernel parameters for an emulated CPU. It has no side channels to close, and Linux wrongly distrusts its
time stamp counter: each reading of the clock that Linux would use instead leaves the emulation."""
PARAMETERS = b"SELAB_VM"
"""The variable with the file of parameters. Only a Vagrantfile of selab reads it."""
OLDER = frozenset(
    {
        "7248c802224fe94699af5f15a15585678bb2b6a0b0942df4bba5742636e302a4",
        "1ab90b1e958eaee04b908f0882095f41d5178eb2ea04daa39c6727cb9725c60b",
        "bb4037aba14c386282baf7a4df122250f2ddc1e18abfb2c3ae8928b9a7beed0e",
        "8c11ff8e24cd0964903739669f2d71eaa1d3554beeb94be8b15b3936d51c66d8",
        "5a8b5054e28c9a0e16f10078ece436ce867bda13a7624b48602b1d885628f282",
        "580285ada1e1805acad8ce52248fffa3ce71d88d5484fd5e104e1bbe36a78305",
    }
)
"""The sha256 of each Vagrantfile that an older selab wrote, all of which leave the VM's network open."""


def parameters(
    box: Choice, provider: str, name: str, config: VmConfig, progress: Progress
) -> VagrantParameters:
    """Choose the parameters of a new VM `name`."""
    progress.note(f"box: {box.name} ({box.why})")
    accel = kvm.Kvm(True, "")
    if provider == "libvirt":
        accel = kvm.probe(Path(box.kernel) if box.kernel else None)
        progress.note("CPU: KVM" if accel.works else f"CPU: emulated, because {accel.reason}")
    cmdline = box.cmdline if accel.works else f"{box.cmdline} {EMULATED}"
    return VagrantParameters(
        name=name,
        profile=box.profile,
        provider=provider,
        box=box.name,
        urls={provider: box.url} if box.url else {},
        checksums={provider: box.sha256} if box.sha256 else {},
        cpus=config.cpus,
        memory=config.memory,
        port=free_port(name),
        session=os.geteuid() != 0,
        accel="kvm" if accel.works else "qemu",
        cpu_features=list(box.cpu),
        agent=box.agent,
        close_loopback=virtualbox_closes_loopback() if provider == "virtualbox" else None,
        kernel=box.kernel or None,
        initrd=box.initrd if box.kernel else None,
        cmdline=cmdline if box.kernel else None,
    )


def has_kernel(parameters: VagrantParameters) -> bool:
    """Return whether the kernel that the VM boots exists on this machine, or the VM boots its own."""
    return not parameters.kernel or Path(parameters.kernel).is_file()


def is_ours(project: Project) -> bool:
    """Return whether the Vagrantfile reads selab's parameters. Any other one belongs to the user."""
    return PARAMETERS in (project.vagrant_dir / "Vagrantfile").read_bytes()


def closes_network(project: Project) -> bool:
    """Return whether the Vagrantfile is selab's, and of a version that closes the VM's network."""
    content = (project.vagrant_dir / "Vagrantfile").read_bytes()
    return PARAMETERS in content and b"restrict=on" in content


def is_older(content: bytes) -> bool:
    """Return whether `content` is the Vagrantfile that an older selab wrote."""
    return hashlib.sha256(content).hexdigest() in OLDER


def place(project: Project, progress: Progress) -> None:
    """Write selab's Vagrantfile to the project if it has none, or one that an older selab wrote.

    A Vagrantfile that the user changed stays.
    """
    path = project.vagrant_dir / "Vagrantfile"
    if not os.path.lexists(path):
        with path.open("xb") as file:
            file.write(shipped())
        progress.note(f"wrote {path}")
    elif not path.exists():
        raise SelabError(
            "The Vagrantfile is a link to nothing.", str(path), "Remove it: selab creates a new one."
        )
    elif not path.is_symlink() and is_older(path.read_bytes()):
        path.write_bytes(shipped())
        progress.note(f"replaced {path}, which an older selab wrote: the current one closes the VM's network")


def shipped() -> bytes:
    """Return the Vagrantfile of the wheel, or of the checkout."""
    packed = importlib.resources.files("selab").joinpath("example", "Vagrantfile")
    if packed.is_file():
        return packed.read_bytes()
    return Path(__file__).parents[2].joinpath("Vagrantfile").read_bytes()
