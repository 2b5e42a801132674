"""What somebody did to the guest by hand since the run before. A run copes with it, and says so."""

from __future__ import annotations

from selab.guest import Completed, Query

POLICY, MODE, SETTINGS = "policy", "mode", "settings"

# /run/selab/loaded has the kernel's counter of policy loads as selab left it; selab takes it away before it loads what it does not vouch
# for. /run/selab/was has the mode that the last run began in, and was put back to; /run/selab/mode the one of a run which was cut off.
_LOOK = r"""
loaded= at=; [ -e /run/selab/loaded ] && read -r loaded at </run/selab/loaded
if [ -n "$at" ]; then
  [ "$(od -An -tu4 -j12 -N4 /sys/fs/selinux/status)" -eq "$at" ] || echo policy
  [ ! "$1" -nt /run/selab/loaded ] || echo settings
fi
[ ! -s /run/selab/mode ] || exit 0
was=; [ -e /run/selab/was ] && read -r was </run/selab/was
read -r mode </sys/fs/selinux/enforce
[ "$was" != "$mode" ] || exit 0
[ -z "$was" ] || echo mode
mkdir -p /run/selab; echo "$mode" >/run/selab/was
exit 0
"""


def changes(settings: str) -> Query[frozenset[str]]:
    """Which of POLICY, MODE and SETTINGS are not as the run before left them; `settings` is the path of the container runtime's."""
    return Query(_LOOK, _said, (settings,))


def settled() -> Query[None]:
    """Take the settings as they are now for those of this run: selab has mended them."""
    return Query("touch /run/selab/loaded", lambda done: None)


def _said(done: Completed) -> frozenset[str]:
    return frozenset(done.text.split()) & {POLICY, MODE, SETTINGS}


def in_words(changed: frozenset[str], settings: str) -> list[str]:
    """A sentence for each, for the run's notes."""
    sentences = {
        POLICY: "a policy was loaded, or a boolean set",
        MODE: "the guest's mode was changed",
        SETTINGS: f"{settings} was edited",
    }
    return [f"By hand since the run before: {sentences[each]}." for each in sorted(changed)]
