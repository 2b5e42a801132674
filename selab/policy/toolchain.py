"""Where policy is compiled and linked: on this machine if it has the tools, otherwise in the guest."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Guest
from selab.host.local import LocalHost

TOOLS = {
    "make": "make",
    "m4": "m4",
    "checkmodule": "checkpolicy",
    "semodule_package": "semodule-utils",
    "secilc": "secilc",
    "secil2tree": "secilc",
}
"""The programs that compile a module and link a policy, and the Debian package of each."""
PP = ("/usr/libexec/selinux/hll/pp", "/usr/lib/selinux/hll/pp")
"""policycoreutils' translator from .pp to CIL; no distribution has it in PATH."""
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
"""The macro processor without what runs commands, reads other files or writes them: a policy's text is a stranger's, and no policy headers
use these."""
GUEST_WORKDIR = "/var/lib/selab"
PROBE_LIMIT = 10.0
"""Seconds for one line of CIL, or the compiler's help: a hundredth of one."""


@dataclass(frozen=True)
class Toolchain:
    """The tools of one place. `workdir` is a directory of selab's own there."""

    where: Guest
    workdir: str

    @property
    def on_host(self) -> bool:
        return isinstance(self.where, LocalHost)


@dataclass(frozen=True)
class Demands:
    """What a base policy takes of the CIL compiler: `denies`, that it reads `deny` rules, which came with 3.6 and which Docker's packages
    for CentOS bring; and that it writes the kernel's `policyvers`."""

    denies: bool = False
    policyvers: int = 0


def missing_on_host(demands: Demands = Demands()) -> list[str]:
    """The programs that this machine lacks to compile and link policy itself, for a base policy with these `demands`."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if not missing:
        missing += ["secilc 3.6"] if demands.denies and not _knows_deny() else []
        missing += (
            [f"secilc for policy version {demands.policyvers}"]
            if demands.policyvers > _newest_policyvers()
            else []
        )
    return missing if any(Path(path).exists() for path in PP) else [*missing, "pp"]


@functools.cache
def _newest_policyvers() -> int:
    """The greatest version that the CIL compiler here writes, which is its default; any, where its help says nothing of that."""
    said = subprocess.run(["secilc", "--help"], capture_output=True, text=True, timeout=PROBE_LIMIT)
    found = re.search(r"--policyvers.*?\(default: (\d+)\)", said.stdout + said.stderr, re.DOTALL)
    return int(found[1]) if found else sys.maxsize


@functools.cache
def _knows_deny() -> bool:
    """Whether the CIL compiler here reads that statement."""
    with tempfile.NamedTemporaryFile("w", suffix=".cil") as file:
        file.write("(deny a_t b_t (file (read)))\n")
        file.flush()
        return (
            subprocess.run(
                ["secil2tree", "-A", "build", file.name], capture_output=True, timeout=PROBE_LIMIT
            ).returncode
            == 0
        )


def host_toolchain(workdir: Path, doing: str, demands: Demands = Demands()) -> Toolchain:
    """The host's toolchain with `workdir`, for what has no guest to go to. Raises SelabError where the host lacks a tool."""
    if lacking := missing_on_host(demands):
        what = f"{doing} needs the policy tools on this machine."
        raise SelabError(what, f"Missing: {' '.join(lacking)}.", "`script/setup` installs them.")
    return Toolchain(LocalHost(), str(workdir))


def choose_toolchain(guest: Guest, workdir: Path, demands: Demands = Demands()) -> Toolchain:
    """The host's toolchain with `workdir`, or the guest's where the host lacks a tool; `demands` are the base policy's."""
    return (
        Toolchain(guest, GUEST_WORKDIR) if missing_on_host(demands) else Toolchain(LocalHost(), str(workdir))
    )
