"""Install and uninstall policies in the guest's module store.

A policy in the store outlives a reboot. Each change is slow, because it rebuilds the whole policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selab.errors import InputError
from selab.guest import Guest, script_argv

PRIORITY = 400
"""The priority of an administrator's modules; a distribution's have 100 to 200 (semodule(8))."""
REBUILD_TIMEOUT = 900.0
"""Seconds for semodule: seven natively, 55 in an emulated guest, more while the guest is busy."""
PACKAGES = "/var/lib/selab/packages"


def is_installed(guest: Guest, name: str) -> bool:
    """Return whether the module `name` is installed at PRIORITY."""
    done = guest.run(script_argv("policy/guest/is-installed", str(PRIORITY), name))
    return done.expect("The guest's policy store cannot be read.", 0, 1).ok


def install(guest: Guest, packages: Mapping[str, bytes]) -> None:
    """Install `packages`, by name, in one transaction. Raises InputError with semodule's message."""
    for name, data in packages.items():
        guest.put(data, f"{PACKAGES}/{name}.pp")
    files = [f"{name}.pp" for name in packages]
    done = guest.run(
        script_argv("policy/guest/install", PACKAGES, str(PRIORITY), *files), timeout=REBUILD_TIMEOUT
    )
    if not done.ok:
        hint = "Nothing was changed. If another transaction holds the store, wait for it."
        raise InputError("The policy was not installed.", _reason(done.error_text), hint)


def uninstall(guest: Guest, name: str) -> None:
    """Remove the module `name` at PRIORITY with `semodule -r`."""
    done = guest.run(script_argv("policy/guest/uninstall", str(PRIORITY), name), timeout=REBUILD_TIMEOUT)
    if not done.ok:
        raise InputError(
            "The policy was not uninstalled.",
            _reason(done.error_text),
            "If other modules require it, uninstall them first.",
        )


def relabel(guest: Guest, places: Sequence[str]) -> None:
    """Label the files at `places` that exist in the guest by the file contexts that are installed now."""
    if places:
        done = guest.run(script_argv("policy/guest/relabel", *places), timeout=REBUILD_TIMEOUT)
        done.expect("The guest's files could not be labelled.")


def _reason(text: str) -> str:
    """Return the first line of semodule's message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "semodule did not report why."
