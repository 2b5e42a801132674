"""Install the packages of a service in the guest, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from selab.errors import SelabError
from selab.guest import Completed, Guest, Malformed, Query, script, script_argv
from selab.progress import Progress
from selab.vm.provision import family_of, install_script

INSTALL_TIMEOUT = 1200.0
"""Seconds to install packages: a download over a slow line, and what packages do when they are configured in
an emulated guest."""


def missing_packages(packages: Sequence[str]) -> Query[tuple[str, ...]]:
    """Return which of the packages the guest lacks."""

    def read(done: Completed) -> tuple[str, ...]:
        lines = done.expect("The guest's packages are unknown.").text.splitlines()
        if set(lines) - set(packages):
            raise Malformed("it names a package that was not asked about")
        return tuple(lines)

    return Query(script("service/missing-packages"), read, tuple(packages))


def ensure_packages(
    guest: Guest,
    packages: Sequence[str],
    progress: Progress,
    online: Callable[[], AbstractContextManager[None]],
    *,
    managed: bool,
) -> bool:
    """Install those of the packages that the guest lacks, and return whether there were any.

    Their services are not started. `online` returns a context in which the guest can download. Raises
    SelabError on a guest that is not `managed` by selab, which changes nothing there.
    """
    missing = missing_packages(packages).of(guest) if packages else ()
    if not missing:
        return False
    names = " ".join(missing)
    if not managed:
        raise SelabError(
            f"The guest lacks packages of the service: {names}.",
            "selab does not manage this machine.",
            "Install them there.",
        )
    with progress.step(f"Installing {names} in the guest"), online():
        words = (install_script(family_of(guest)), *missing)
        done = guest.run(script_argv("service/install-packages", *words), timeout=INSTALL_TIMEOUT)
        done.expect(
            f"The packages could not be installed in the guest: {names}.",
            hint="Check their names: the scenario lists them in `packages`.",
        )
    if left := missing_packages(missing).of(guest):
        raise SelabError(
            f"The packages were installed without an error, and are missing all the same: {' '.join(left)}.",
            hint="Name the packages themselves instead of what they provide.",
        )
    return True
