"""The guest's module store, where a policy outlives a reboot: on purpose, and slowly. Every change rebuilds the whole policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selab.errors import InputError
from selab.guest import Guest

PRIORITY = 400
"""semodule(8): where an administrator's modules go; a distribution's have 100 to 200."""
REBUILD_TIMEOUT = 900.0
"""Seconds for semodule: seven natively, 55 in an emulated guest, more while it does something else."""
PACKAGES = "/var/lib/selab/packages"

# semodule loads what it has built, which is then no policy of selab's.
_INSTALL = r"""
directory=$1 priority=$2; shift 2
rm -f /run/selab/loaded
cd "$directory" && semodule -X "$priority" -i "$@"; status=$?
rm -rf "$directory"
exit $status
"""
_UNINSTALL = r"""
rm -f /run/selab/loaded
semodule -X "$1" -r "$2"
"""
_IS_INSTALLED = r"""
type=$(sed -n 's/^SELINUXTYPE=[[:space:]]*//p' /etc/selinux/config | tail -n 1)
[ -d "/var/lib/selinux/$type/active/modules/$1/$2" ]
"""
_RELABEL = r"""
for place; do shift; [ -e "$place" ] && set -- "$@" "$place"; done
[ $# -eq 0 ] || restorecon -RF "$@"
"""


def is_installed(guest: Guest, name: str) -> bool:
    """Whether somebody has installed the module `name` at PRIORITY."""
    done = guest.run(["sh", "-c", _IS_INSTALLED, "sh", str(PRIORITY), name])
    return done.expect("The guest's policy store cannot be read.", 0, 1).ok


def install(guest: Guest, packages: Mapping[str, bytes]) -> None:
    """`semodule -i` of `packages`, by name, in one transaction. Raises InputError with what semodule says."""
    for name, data in packages.items():
        guest.put(data, f"{PACKAGES}/{name}.pp")
    files = [f"{name}.pp" for name in packages]
    done = guest.run(["sh", "-c", _INSTALL, "sh", PACKAGES, str(PRIORITY), *files], timeout=REBUILD_TIMEOUT)
    if not done.ok:
        hint = "Nothing was changed. If another transaction holds the store, wait for it."
        raise InputError("The policy was not installed.", _said(done.error_text), hint)


def uninstall(guest: Guest, name: str) -> None:
    """`semodule -r` of the module `name` at PRIORITY."""
    done = guest.run(["sh", "-c", _UNINSTALL, "sh", str(PRIORITY), name], timeout=REBUILD_TIMEOUT)
    if not done.ok:
        raise InputError(
            "The policy was not uninstalled.",
            _said(done.error_text),
            "A module that others need cannot go before them.",
        )


def relabel(guest: Guest, places: Sequence[str]) -> None:
    """Label the guest's files at `places`, as far as they are there, by the file contexts that are installed now."""
    if places:
        done = guest.run(["sh", "-c", _RELABEL, "sh", *places], timeout=REBUILD_TIMEOUT)
        done.expect("The guest's files could not be labelled.")


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "semodule did not say why."
