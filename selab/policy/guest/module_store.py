"""The guest's module store, where a policy outlives a reboot: on purpose, and slowly. Every change rebuilds the whole policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selab.errors import InputError
from selab.guest import Guest, script_argv

PRIORITY = 400
"""semodule(8): where an administrator's modules go; a distribution's have 100 to 200."""
REBUILD_TIMEOUT = 900.0
"""Seconds for semodule: seven natively, 55 in an emulated guest, more while it does something else."""
PACKAGES = "/var/lib/selab/packages"


def is_installed(guest: Guest, name: str) -> bool:
    """Whether somebody has installed the module `name` at PRIORITY."""
    done = guest.run(script_argv("policy/guest/is-installed", str(PRIORITY), name))
    return done.expect("The guest's policy store cannot be read.", 0, 1).ok


def install(guest: Guest, packages: Mapping[str, bytes]) -> None:
    """`semodule -i` of `packages`, by name, in one transaction. Raises InputError with what semodule says."""
    for name, data in packages.items():
        guest.put(data, f"{PACKAGES}/{name}.pp")
    files = [f"{name}.pp" for name in packages]
    done = guest.run(
        script_argv("policy/guest/install", PACKAGES, str(PRIORITY), *files), timeout=REBUILD_TIMEOUT
    )
    if not done.ok:
        hint = "Nothing was changed. If another transaction holds the store, wait for it."
        raise InputError("The policy was not installed.", _said(done.error_text), hint)


def uninstall(guest: Guest, name: str) -> None:
    """`semodule -r` of the module `name` at PRIORITY."""
    done = guest.run(script_argv("policy/guest/uninstall", str(PRIORITY), name), timeout=REBUILD_TIMEOUT)
    if not done.ok:
        raise InputError(
            "The policy was not uninstalled.",
            _said(done.error_text),
            "A module that others need cannot go before them.",
        )


def relabel(guest: Guest, places: Sequence[str]) -> None:
    """Label the guest's files at `places`, as far as they are there, by the file contexts that are installed now."""
    if places:
        done = guest.run(script_argv("policy/guest/relabel", *places), timeout=REBUILD_TIMEOUT)
        done.expect("The guest's files could not be labelled.")


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "semodule did not say why."
