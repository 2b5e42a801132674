"""Back into a guest that a policy has locked everybody out of: by SSH where that still works, by the serial console, or by a reset."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from selab.errors import SelabError, Unreachable
from selab.guest import script, script_argv
from selab.progress import Progress
from selab.vm.provision import runtime_services
from selab.vm.ssh import SshGuest

log = logging.getLogger("selab")

FIRST_PASSWORD = "vagrant"
"""Root's in a box, until selab has prepared the guest: no login over the network takes a password."""
LOGIN_LIMIT = 12.0
"""Seconds for each step of a new login to a guest that answers otherwise: all of them take one or two in an emulated guest."""
CHECK_LIMIT = 30.0
"""Seconds for a login's first command: one or two, in an emulated guest that has just been through something."""
UNDO_LIMIT = 120.0
"""Seconds to load the base policy, put labels back and start services: five in an emulated guest, more for many labels."""
PATIENCE = 20.0
"""Seconds for a new login to work after the base policy is back: sshd may have to be started again."""
BOOTED = 120.0
"""Seconds after the start of sshd until the container runtimes run: 30 in an emulated guest."""
RETRY = 1.0


@dataclass(frozen=True)
class Ways:
    """Into one VM: `login` is a new connection by SSH, `reset` reboots it and returns one; `domain` is libvirt's, or nothing."""

    login: Callable[[], SshGuest]
    reset: Callable[[], SshGuest]
    domain: str
    password: str


def rescue(ways: Ways, progress: Progress) -> str:
    """Bring the guest back under its base policy; what had to be done for it, or nothing where nothing was wrong. Raises Unreachable."""
    wrong, obeys = trouble(ways.login)
    if not wrong:
        return ""
    progress.note(f"{wrong.rstrip('.')}: giving the base policy back")
    tries: tuple[tuple[str, Callable[[], None], float], ...] = (
        *((("by SSH", lambda: _by_ssh(ways.login), PATIENCE),) if obeys else ()),
        ("through the serial console", lambda: by_console(ways.domain, ways.password), PATIENCE),
        (
            "by the guard in it",
            lambda: None,
            PATIENCE,
        ),  # which it has as long as it takes to find that the console does not obey either
        ("by a reset of the VM", lambda: ways.reset().close(), BOOTED),
    )
    for name, undo, patience in tries:
        try:
            undo()
            wrong = _soon(ways.login, patience)
        except SelabError as error:
            wrong = f"{error.what} {error.detail}".strip()
        if not wrong:
            progress.note(f"the guest is back under its base policy, {name}")
            return f"The base policy was given back {name}."
        log.info("not rescued %s: %s", name, wrong)
        progress.note(f"not {name}: {wrong}")
    raise Unreachable(
        "The VM could not be rescued.",
        wrong,
        "`selab vm console` shows it; `selab vm destroy` makes room for a new one.",
    )


def trouble(login: Callable[[], SshGuest]) -> tuple[str, bool]:
    """Why no run could work in the guest, as a new login sees it, nothing where one could; and whether the guest obeys that login."""
    try:
        with login() as guest:
            done = guest.run(script_argv("vm/check-guest", *runtime_services()), timeout=CHECK_LIMIT)
    except Unreachable as error:
        return error.what, False
    said = done.text.strip()
    return (
        ("", True) if done.ok else (said or done.error_text.strip() or "its shell does not work", bool(said))
    )


def by_console(domain: str, password: str) -> None:
    """Give the base policy back as root on the serial console. Raises Unreachable."""
    if not domain:
        raise Unreachable("Only a VM of libvirt has a serial console here.")
    from selab.vm.console import Console  # by a terminal, which only a VM of libvirt takes

    with Console(domain) as console:
        console.login(password or FIRST_PASSWORD)
        code, said = console.run(script("vm/restore-base"), UNDO_LIMIT)
    if code:
        raise Unreachable("The base policy could not be loaded on the serial console.", said.strip()[-160:])


def _by_ssh(login: Callable[[], SshGuest]) -> None:
    with login() as guest:
        guest.run(script_argv("vm/restore-base"), timeout=UNDO_LIMIT).expect(
            "The base policy could not be loaded by SSH."
        )


def _soon(login: Callable[[], SshGuest], patience: float) -> str:
    deadline = time.monotonic() + patience
    while wrong := trouble(login)[0]:
        if time.monotonic() > deadline:
            return wrong
        time.sleep(RETRY)
    return ""
