"""Choose Vagrant's provider on this machine, and list the programs that each provider needs."""

from __future__ import annotations

import shutil
import sys

TOOLS = {
    "libvirt": {
        "vagrant": "vagrant",
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "virsh": "libvirt-clients",
    },
    "virtualbox": {"vagrant": "vagrant", "VBoxManage": "VirtualBox"},
}
"""The programs of each provider and their sources: Debian packages for libvirt, which requires Linux."""
ARCHITECTURES = frozenset({"x86_64", "AMD64", "amd64"})
"""The names of the processors that can run the boxes, as operating systems report them."""


def default_provider() -> str:
    """Return libvirt on Linux, unless only VirtualBox is installed, and VirtualBox on other systems."""
    if sys.platform == "linux" and (shutil.which("virsh") or not shutil.which("VBoxManage")):
        return "libvirt"
    return "virtualbox"
