"""Choose Vagrant's provider on this machine, and list the programs that each provider needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from selab.host.processes import run_group

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

LOOPBACK_SINCE = (6, 1, 28)
"""The first version of VirtualBox that can close the guest's way to the host's loopback interface."""
VERSION_LIMIT = 20.0
"""Seconds for VirtualBox to print its version."""


def default_provider() -> str:
    """Return libvirt on Linux, unless only VirtualBox is installed, and VirtualBox on other systems."""
    if sys.platform == "linux" and (shutil.which("virsh") or not shutil.which("VBoxManage")):
        return "libvirt"
    return "virtualbox"


def virtualbox_closes_loopback() -> bool:
    """Return whether the installed VirtualBox has the option `--natlocalhostreachable1`."""
    try:
        done = run_group(["VBoxManage", "--version"], timeout=VERSION_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(rb"^(\d+)\.(\d+)\.(\d+)", done.stdout, re.M)
    return version is not None and tuple(map(int, version.groups())) >= LOOPBACK_SINCE
