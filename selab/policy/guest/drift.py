"""What somebody did to the guest by hand since the run before. A run copes with it, and says so."""

from __future__ import annotations

from selab.guest import Completed, Query, script

POLICY, MODE, SETTINGS = "policy", "mode", "settings"


def changes(settings: str) -> Query[frozenset[str]]:
    """Which of POLICY, MODE and SETTINGS are not as the run before left them; `settings` is the path of the container runtime's."""
    return Query(script("policy/guest/find-changes"), _said, (settings,))


def settled() -> Query[None]:
    """Take the settings as they are now for those of this run: selab has mended them."""
    return Query(script("policy/guest/accept-settings"), lambda done: None)


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
