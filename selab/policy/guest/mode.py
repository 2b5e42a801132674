"""The guest's mode during a run, and the guard in the guest, which gives the base policy back when nobody calls it off in time.

What runs in the guest is selab/vm/guest_agent/guard.py.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest, Query

LIMIT = 60
"""Seconds that a guest is left to a candidate that enforces while nobody says that all is well."""
RENEWAL = 20.0
"""Seconds between two words that all is well: a run that is shorter than that needs none."""

# /run/selab/mode holds the mode from before a run, until it is put back: a run that was cut off has no other memory of it.
_FUNCTIONS = r"""
mode() { read -r mode </sys/fs/selinux/enforce; }  # which has no line end, so that reading it never is a success
set_mode() { printf "$1" >/sys/fs/selinux/enforce || exit; mode; [ "$mode" = "$1" ] || exit 1; }
guarded() {
  pid=; group=
  [ -e /run/selab/guard.pid ] && read -r pid </run/selab/guard.pid && read -r group <"/proc/$pid/cgroup"
  case $group in *selab-guard*) return 0 ;; esac; return 1
} 2>/dev/null
arm() {
  guarded || { systemctl restart selab-guard; turns=50; until guarded || [ $turns = 0 ]; do turns=$((turns - 1)); sleep 0.2; done; }
  guarded || { echo "the service selab-guard does not run" >&2; exit 8; }
  echo "$1" 1<>/run/selab/guard
}
"""
# The policy of the run before is never enforced: where another one is wanted, this waits to be asked again when that is loaded.
_SWITCH = r"""
if [ "$1" = 1 ]; then
  loaded=; [ -e /run/selab/loaded ] && read -r loaded at </run/selab/loaded
  [ "$2" = any ] || [ "$loaded" = "$2" ] || exit 0
fi
mode
[ "$mode$1" = 00 ] || [ -s /run/selab/mode ] || echo "$mode" >/run/selab/mode
[ "$1" = 0 ] || { [ "$4" = optional ] && [ ! -e /usr/local/lib/selab/guard ]; } || arm "$3"
[ "$mode" = "$1" ] || set_mode "$1"
"""
_BACK = r"""
[ -s /run/selab/mode ] || exit 0
read -r before </run/selab/mode
set_mode "$before"
: >/run/selab/mode
[ -p /run/selab/guard ] || exit 0
[ "$before" = 0 ] && order=off || order=rest
echo $order 1<>/run/selab/guard
"""
_RENEW = r"""
[ -s /run/selab/mode ] && [ -p /run/selab/guard ] && echo "$1" 1<>/run/selab/guard
"""


def switch_mode(enforcing: bool, digest: str, *, optional: bool = False) -> Query[None]:
    """Switch the mode, see that it took, and remember in the guest what it was. Enforcing arms the guard, and happens only where the policy
    `digest` (or load.ANY) is the one that was loaded last. `optional`: the guest need not have a guard."""
    words = ("1" if enforcing else "0", digest, str(LIMIT), "optional" if optional else "")
    return Query(_FUNCTIONS + _SWITCH, _mode_is_set, words)


def restore_mode() -> Query[None]:
    """The mode from before `switch_mode`, also of a run that was cut off, and the guard called off. Does nothing where it was not switched.

    The candidate stays loaded. Where the guest itself enforces, its guard gives the base policy back some time later.
    """
    return Query(_FUNCTIONS + _BACK, _mode_is_set)


def _mode_is_set(done: Completed) -> None:
    if done.returncode == 8:
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
                Query(_RENEW, lambda done: done, (str(LIMIT),), timeout=RENEWAL).of(guest)

    thread = threading.Thread(target=work, daemon=True, name="guard")
    thread.start()
    try:
        yield
    finally:
        stop.set()
