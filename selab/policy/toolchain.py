"""Choose where policy is compiled and linked: on this machine if it has the tools, otherwise in the guest."""

from __future__ import annotations

import functools
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Guest
from selab.host.local import LocalHost

TOOLS = {
    "m4": "m4",
    "checkmodule": "checkpolicy",
    "semodule_package": "semodule-utils",
    "secilc": "secilc",
    "secil2tree": "secilc",
}
"""The programs that compile a module and link a policy, with their Debian packages."""
PP = ("/usr/libexec/selinux/hll/pp", "/usr/lib/selinux/hll/pp")
"""Paths of policycoreutils' translator from .pp to CIL, which no distribution puts into PATH."""
M4 = "m4 " + " ".join(
    f"-U {builtin}"
    for builtin in (
        "builtin",
        "debugfile",
        "esyscmd",
        "include",
        "maketemp",
        "mkstemp",
        "sinclude",
        "syscmd",
        "undivert",
    )
)
"""m4 without the builtins that run commands or read and write other files.

A policy's text is untrusted input, and no policy headers use these builtins.
"""
GUEST_WORKDIR = "/var/lib/selab"
PROBE_LIMIT = 10.0
"""Seconds for one line of CIL, or the compiler's help, which take a hundredth of one."""


@dataclass(frozen=True)
class Toolchain:
    """The tools on one machine.

    where: the machine.
    workdir: selab's own directory there.
    """

    where: Guest
    workdir: str

    @property
    def on_host(self) -> bool:
        return isinstance(self.where, LocalHost)


@dataclass(frozen=True)
class Demands:
    """What a base policy requires of the CIL compiler.

    denies: whether the compiler must read `deny` rules, which are new in 3.6 and come with Docker's packages
        for CentOS.
    policyvers: policy version that the compiler must write.
    """

    denies: bool = False
    policyvers: int = 0


def missing_on_host(demands: Demands = Demands()) -> list[str]:
    """Return the programs that this machine lacks to compile and link policy with these `demands`."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if not missing:
        missing += ["secilc 3.6"] if demands.denies and not knows_deny() else []
        missing += (
            [f"secilc for policy version {demands.policyvers}"]
            if demands.policyvers > _newest_policyvers()
            else []
        )
    return missing if any(Path(path).exists() for path in PP) else [*missing, "pp"]


@functools.cache
def _newest_policyvers() -> int:
    """Return the newest version that this machine's CIL compiler writes; no limit if its help omits it."""
    result = LocalHost().run(["secilc", "--help"], timeout=PROBE_LIMIT)
    match = re.search(r"--policyvers.*?\(default: (\d+)\)", result.text + result.error_text, re.DOTALL)
    return int(match[1]) if match else sys.maxsize


@functools.cache
def knows_deny() -> bool:
    """Return whether this machine's CIL compiler reads `deny` statements."""
    with tempfile.NamedTemporaryFile("w", suffix=".cil") as file:
        file.write("(deny a_t b_t (file (read)))\n")
        file.flush()
        return LocalHost().run(["secil2tree", "-A", "build", file.name], timeout=PROBE_LIMIT).ok


def host_toolchain(workdir: Path, doing: str, demands: Demands = Demands()) -> Toolchain:
    """Return the host's toolchain with `workdir`. Raises SelabError if the host lacks a tool."""
    if lacking := missing_on_host(demands):
        what = f"{doing} needs the policy tools on this machine."
        hint = "Run `script/setup` to install the missing tools."
        if newer := [name for name in lacking if name not in (*TOOLS, "pp")]:
            hint = (
                f"`script/setup` installs what this system's packages have. {newer[0]} needs a newer system."
            )
        raise SelabError(what, f"Missing: {' '.join(lacking)}.", hint)
    return Toolchain(LocalHost(), str(workdir))


def choose_toolchain(guest: Guest, workdir: Path, demands: Demands = Demands()) -> Toolchain:
    """Return the host's toolchain, or the guest's if the host lacks a tool for the `demands`."""
    return (
        Toolchain(guest, GUEST_WORKDIR) if missing_on_host(demands) else Toolchain(LocalHost(), str(workdir))
    )
