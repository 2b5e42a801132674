"""Set the guest's mode during a run, and arm the guard against a candidate that locks selab out.

selab/vm/guest_agent/guard.py is the guard's program in the guest.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from selab import guest_state
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest, Query, script, script_argv

LIMIT = 60
"""Seconds after which the guard restores the base policy if a run neither renews nor disarms it."""
RENEWAL = 20.0
"""Seconds between two renewals of the guard. A shorter run sends none."""


def switch_mode(enforcing: bool, digest: str, *, optional: bool = False) -> Query[None]:
    """Switch the mode, check that the kernel has it, and record the previous mode in the guest.

    Enforcing mode arms the guard, and is set only if the policy `digest` (or load.ANY) was loaded last. With
    `optional`, the guest may lack a guard.
    """
    words = ("1" if enforcing else "0", digest, str(LIMIT), "optional" if optional else "")
    return Query(script("policy/guest/switch-mode"), _mode_is_set, words)


def restore_mode() -> Query[None]:
    """Restore the mode from before `switch_mode` and disarm the guard, also after an interrupted run.

    This does nothing if the mode was not switched. The candidate stays loaded. If the guest itself enforces,
    its guard restores the base policy some time later.
    """
    return Query(script("policy/guest/restore-mode"), _mode_is_set)


def _mode_is_set(done: Completed) -> None:
    if done.returncode == guest_state.NO_GUARD.code:
        what = "The guard in the guest, which undoes a policy that locks selab out, cannot be armed."
        hint = "See `selab vm ssh -- systemctl status selab-guard`."
        raise CommandFailed(what, ["selab-guard"], done.returncode, done.error_text, hint)
    done.expect("The guest's mode could not be set.")


@contextlib.contextmanager
def renewed(guest: Guest) -> Iterator[None]:
    """Renew the guard while the block runs, so that it does not act, however long the block takes."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(RENEWAL):
            with contextlib.suppress(SelabError):  # the run's next command reports the same error
                guest.run(script_argv("policy/guest/renew-guard", str(LIMIT)), timeout=RENEWAL)

    thread = threading.Thread(target=work, daemon=True, name="guard")
    thread.start()
    try:
        yield
    finally:
        stop.set()
