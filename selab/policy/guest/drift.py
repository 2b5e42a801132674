"""Detect changes made to the guest by hand since the last run. A run copes with them and reports them."""

from __future__ import annotations

from selab.guest import Completed, Query, one_of, script

POLICY, MODE, SETTINGS = "policy", "mode", "settings"


def changes(settings: str) -> Query[frozenset[str]]:
    """Query which of POLICY, MODE and SETTINGS have changed since the last run.

    `settings` is the path of the container runtime's settings.
    """
    return Query(script("policy/guest/find-changes"), _changes, (settings,))


def settled() -> Query[None]:
    """Accept the present settings as those of this run. selab calls this after it has repaired them."""
    return Query(script("policy/guest/accept-settings"), lambda done: None)


def _changes(done: Completed) -> frozenset[str]:
    return frozenset(one_of(word, POLICY, MODE, SETTINGS) for word in done.text.split())


def in_words(changed: frozenset[str], settings: str) -> list[str]:
    """Return a sentence for each change, for the run's notes."""
    sentences = {
        POLICY: "a policy was loaded, or a boolean set",
        MODE: "the guest's mode was changed",
        SETTINGS: f"{settings} was edited",
    }
    return [f"Changed by hand since the last run: {sentences[change]}." for change in sorted(changed)]
