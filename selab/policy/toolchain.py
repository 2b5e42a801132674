"""Where policy is compiled and linked: on this machine if it has the tools, otherwise in the guest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Guest
from selab.host import Host

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
    f"-U {builtin}" for builtin in ("builtin", "debugfile", "esyscmd", "include", "maketemp", "mkstemp", "sinclude", "syscmd", "undivert")
)
"""The macro processor without what runs commands, reads other files or writes them: a policy's text is a stranger's, and no policy headers
use these."""
GUEST_WORKDIR = "/var/lib/selab"


@dataclass(frozen=True)
class Toolchain:
    """The tools of one place. `workdir` is a directory of selab's own there."""

    where: Guest
    workdir: str

    @property
    def on_host(self) -> bool:
        return isinstance(self.where, Host)


def missing_on_host() -> list[str]:
    """The programs that this machine lacks to compile and link policy itself."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return missing if any(Path(path).exists() for path in PP) else [*missing, "pp"]


def host_toolchain(workdir: Path, doing: str) -> Toolchain:
    """The host's toolchain with `workdir`, for what has no guest to go to. Raises SelabError where the host lacks a tool."""
    if lacking := missing_on_host():
        what = f"{doing} needs the policy tools on this machine."
        raise SelabError(what, f"Missing: {' '.join(lacking)}.", "`script/setup` installs them.")
    return Toolchain(Host(), str(workdir))


def choose_toolchain(guest: Guest, workdir: Path) -> Toolchain:
    """The host's toolchain with `workdir`, or the guest's where the host lacks a tool."""
    return Toolchain(guest, GUEST_WORKDIR) if missing_on_host() else Toolchain(Host(), str(workdir))
