"""The guest's mode during a run, and the guard in the guest, which gives the base policy back when nobody calls it off in time.

What runs in the guest is selab/vm/guest_agent/guard.py.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from selab import guest_state
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest, Query, script, script_argv

LIMIT = 60
"""Seconds that a guest is left to a candidate that enforces while nobody says that all is well."""
RENEWAL = 20.0
"""Seconds between two words that all is well: a run that is shorter than that needs none."""


def switch_mode(enforcing: bool, digest: str, *, optional: bool = False) -> Query[None]:
    """Switch the mode, see that it took, and remember in the guest what it was. Enforcing arms the guard, and happens only where the policy
    `digest` (or load.ANY) is the one that was loaded last. `optional`: the guest need not have a guard."""
    words = ("1" if enforcing else "0", digest, str(LIMIT), "optional" if optional else "")
    return Query(script("policy/guest/switch-mode"), _mode_is_set, words)


def restore_mode() -> Query[None]:
    """The mode from before `switch_mode`, also of a run that was cut off, and the guard called off. Does nothing where it was not switched.

    The candidate stays loaded. Where the guest itself enforces, its guard gives the base policy back some time later.
    """
    return Query(script("policy/guest/restore-mode"), _mode_is_set)


def _mode_is_set(done: Completed) -> None:
    if done.returncode == guest_state.NO_GUARD.code:
        what = "The guard in the guest, which undoes a policy that locks everybody out, cannot be armed."
        hint = "See `selab vm ssh -- systemctl status selab-guard`."
        raise CommandFailed(what, ["selab-guard"], done.returncode, done.error_text, hint)
    done.expect("The guest's mode could not be set.")


@contextlib.contextmanager
def renewed(guest: Guest) -> Iterator[None]:
    """Keep the guard from acting while the block runs, however long that takes."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(RENEWAL):
            with contextlib.suppress(SelabError):  # whoever talks to the guest meets the same, and says so
                guest.run(script_argv("policy/guest/renew-guard", str(LIMIT)), timeout=RENEWAL)

    thread = threading.Thread(target=work, daemon=True, name="guard")
    thread.start()
    try:
        yield
    finally:
        stop.set()
