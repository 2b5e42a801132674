"""Which distribution this machine runs, and the packages that selab needs there; script/setup reads the same.

The tables are packages/FAMILY.txt, and debian.txt explains them.
"""

from __future__ import annotations

import importlib.resources
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")
FAMILIES = {
    "rhel": "el",
    "centos": "el",
    "fedora": "fedora",
    "debian": "debian",
    "ubuntu": "debian",
    "suse": "suse",
    "opensuse": "suse",
}
"""The family by a word of ID or ID_LIKE. CentOS is like RHEL and like Fedora: the first word here decides."""


@dataclass(frozen=True)
class HostPackages:
    """A family's table.

    install: the command that installs packages.
    manual: what you must do before it, as sentences.
    packages: the package that has each program, by the program's name or path.
    label: the SELinux type that selab's boxes need if libvirt's system daemon is confined.
    """

    install: str
    manual: tuple[str, ...]
    packages: dict[str, str]
    label: str


def family() -> str:
    """Return the family of this machine's distribution, or "" if selab has no table for it."""
    try:
        lines = OS_RELEASE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = [line.partition("=") for line in lines]
    texts = {key: value.strip("\"'") for key, _, value in pairs if key in ("ID", "ID_LIKE")}
    words = " ".join(texts.values()).replace("opensuse-", "opensuse ").split()
    return next((name for word, name in FAMILIES.items() if word in words), "")


def host_packages(name: str) -> HostPackages:
    """Read the table of the family `name`, without the packages for SELinux and for the tests."""
    text = importlib.resources.files("selab").joinpath(f"host/packages/{name}.txt").read_text("utf-8")
    lines = [line for line in text.partition("\n[")[0].splitlines() if line and not line.startswith("#")]
    rows = [line.split("|") for line in lines]
    packages = {Path(row[1]).name: row[0] for row in rows if not row[0].startswith("@")}
    if "qemu-kvm" in packages:  # EL's name of QEMU
        packages["qemu-system-x86_64"] = packages["qemu-kvm"]
    return HostPackages(
        next(row[1] for row in rows if row[0] == "@install"),
        tuple(row[1] for row in rows if row[0] == "@manual"),
        packages,
        next(row[1] for row in rows if row[0] == "@label"),
    )


def how_to_install(programs: Iterable[str], default: Mapping[str, str]) -> str:
    """Say how to install `programs` here. `default` has the package of each on an unknown distribution."""
    name = family()
    if not name:
        packages = sorted({default[program] for program in programs})
        return f"Install {', '.join(packages)} with this system's package manager."
    table = host_packages(name)
    packages = sorted({table.packages.get(program, default[program]) for program in programs})
    command = shlex.join([*table.install.split(), *packages])
    return " ".join(["Run `script/setup` in a checkout, or as root:", *table.manual, f"`{command}`."])
