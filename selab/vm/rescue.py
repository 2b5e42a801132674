"""Restore the base policy of a guest that a candidate has locked selab out of.

selab tries SSH if it still works, then the serial console, then the guard in the guest, then a reset.
"""

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
"""Root's password in a box until selab has prepared the guest. No network login accepts a password."""
LOGIN_LIMIT = 12.0
"""Seconds for each step of a new login; an emulated guest takes one or two for all of them."""
CHECK_LIMIT = 30.0
"""Seconds for the first command of a login: one or two in an emulated guest that is busy."""
UNDO_LIMIT = 120.0
"""Seconds to load the base policy, restore labels and start services: five in an emulated guest."""
PATIENCE = 20.0
"""Seconds for a new login to work after the base policy is restored: sshd may have to start again."""
BOOTED = 120.0
"""Seconds after the start of sshd until the container runtimes run: 30 in an emulated guest."""
RETRY = 1.0


@dataclass(frozen=True)
class Ways:
    """The ways into a VM.

    login: opens a new connection by SSH.
    reset: reboots the VM and opens a connection.
    domain: id of libvirt's domain, or "" for another provider.
    password: root's password on the serial console, or "" if selab has set none yet.
    """

    login: Callable[[], SshGuest]
    reset: Callable[[], SshGuest]
    domain: str
    password: str


def rescue(ways: Ways, progress: Progress) -> str:
    """Restore the guest's base policy if a new login finds something wrong.

    Returns a sentence that says what restored it, or "" if nothing was wrong. Raises Unreachable if nothing
    helped.
    """
    wrong, responds = trouble(ways.login)
    if not wrong:
        return ""
    progress.note(f"{wrong.rstrip('.')}: restoring the base policy")
    tries: tuple[tuple[str, Callable[[], None], float], ...] = (
        *((("by SSH", lambda: _by_ssh(ways.login), PATIENCE),) if responds else ()),
        ("through the serial console", lambda: by_console(ways.domain, ways.password), PATIENCE),
        ("by the guard in the guest", lambda: None, PATIENCE),  # the guard acts by itself: selab only waits
        ("by a reset of the VM", lambda: ways.reset().close(), BOOTED),
    )
    for name, undo, patience in tries:
        try:
            undo()
            wrong = _soon(ways.login, patience)
        except SelabError as error:
            wrong = f"{error.what} {error.detail}".strip()
        if not wrong:
            progress.note(f"the base policy was restored {name}")
            return f"The base policy was restored {name}."
        log.info("not rescued %s: %s", name, wrong)
        progress.note(f"not restored {name}: {wrong}")
    raise Unreachable(
        "The base policy of the VM could not be restored.",
        wrong,
        "See `selab vm console`. `selab vm destroy` removes the VM, and the next run creates a new one.",
    )


def trouble(login: Callable[[], SshGuest]) -> tuple[str, bool]:
    """Check with a new login whether a run could work in the guest.

    Returns what prevents a run, or "" if nothing does, and whether the guest responds to commands.
    """
    try:
        with login() as guest:
            done = guest.run(script_argv("vm/check-guest", *runtime_services()), timeout=CHECK_LIMIT)
    except Unreachable as error:
        return error.what, False
    problem = done.text.strip()
    if done.ok:
        return "", True
    return problem or done.error_text.strip() or "the guest's shell does not work", bool(problem)


def by_console(domain: str, password: str) -> None:
    """Restore the base policy as root on the serial console. Raises Unreachable."""
    if not domain:
        raise Unreachable("Only a libvirt VM has a serial console.")
    from selab.vm.console import Console  # imported here because it needs a terminal, which Windows lacks

    with Console(domain) as console:
        console.login(password or FIRST_PASSWORD)
        code, output = console.run(script("vm/restore-base"), UNDO_LIMIT)
    if code:
        raise Unreachable("The base policy could not be loaded on the serial console.", output.strip()[-160:])


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
