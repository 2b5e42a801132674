"""Install and uninstall policies in the guest's module store.

A policy in the store outlives a reboot. Each change is slow, because it rebuilds the whole policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from selab.errors import CommandFailed, InputError, SelabError
from selab.guest import Completed, Guest, script_argv
from selab.policy.refusal import refused

PRIORITY = 400
"""The priority of an administrator's modules; a distribution's have 100 to 200 (semodule(8))."""
REBUILD_TIMEOUT = 900.0
"""Seconds for semodule: seven natively, 55 in an emulated guest, more while the guest is busy."""
PACKAGES = "/var/lib/selab/packages"
_COMMIT_FAILED = re.compile(r"^semodule: +Failed!$", re.MULTILINE)
_OF_SEMODULE = re.compile(r"semodule:|libsemanage\.(?!validate_handler|semanage_compile_module)")
"""The beginning of a line about semodule's own work. Other lines are about the policy."""


def is_installed(guest: Guest, name: str) -> bool:
    """Return whether the module `name` is installed at PRIORITY."""
    done = guest.run(script_argv("policy/guest/is-installed", str(PRIORITY), name))
    return done.expect("The guest's policy store cannot be read.", 0, 1).ok


def install(guest: Guest, packages: Mapping[str, bytes]) -> None:
    """Install `packages`, policy packages and CIL by file name, in one transaction.

    Raises InputError with semodule's message if semodule refuses the resulting policy.
    """
    for name, data in packages.items():
        guest.put(data, f"{PACKAGES}/{name}")
    done = guest.run(
        script_argv("policy/guest/install", PACKAGES, str(PRIORITY), *packages), timeout=REBUILD_TIMEOUT
    )
    if not done.ok:
        hint = "Nothing was changed. If another transaction holds the store, wait for it."
        raise _failure("The policy was not installed.", done, hint)


def uninstall(guest: Guest, name: str) -> None:
    """Remove the module `name` at PRIORITY with `semodule -r`.

    Raises InputError with semodule's message if semodule refuses the resulting policy.
    """
    done = guest.run(script_argv("policy/guest/uninstall", str(PRIORITY), name), timeout=REBUILD_TIMEOUT)
    if not done.ok:
        hint = "If other modules require it, uninstall them first."
        raise _failure("The policy was not uninstalled.", done, hint)


def relabel(guest: Guest, places: Sequence[str]) -> None:
    """Label the files at `places` that exist in the guest by the file contexts that are installed now."""
    if places:
        done = guest.run(script_argv("policy/guest/relabel", *places), timeout=REBUILD_TIMEOUT)
        done.expect("The guest's files could not be labelled.")


def _failure(what: str, done: Completed, hint: str) -> SelabError:
    """Return InputError if semodule refused the policy that it built, and CommandFailed otherwise."""
    lines = [line.strip() for line in done.error_text.splitlines() if line.strip()]
    reasons = [line for line in lines if not _OF_SEMODULE.match(line)]
    if reasons and _COMMIT_FAILED.search(done.error_text) and refused(done):
        return InputError(what, reasons[0], hint)
    return CommandFailed(
        what, done.argv, done.returncode, done.error_text or done.text, "Run `selab doctor`."
    )
