"""Vagrant's providers: which one a VM of this machine gets, and the programs that each takes."""

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
"""Programs by provider, and where they come from: Debian's packages for libvirt, which Linux alone has."""
ARCHITECTURES = frozenset({"x86_64", "AMD64", "amd64"})
"""What a machine calls itself that can run the boxes: there are none for another processor."""


def default_provider() -> str:
    """libvirt on Linux, unless VirtualBox alone is there; VirtualBox elsewhere."""
    if sys.platform == "linux" and (shutil.which("virsh") or not shutil.which("VBoxManage")):
        return "libvirt"
    return "virtualbox"
