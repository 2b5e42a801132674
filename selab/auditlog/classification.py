"""What a scenario says about a denial. The verdict decides it once; whatever runs later reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANY = "any"
"""The entry that tolerates every denial: `denials: any`."""


class Classification(StrEnum):
    """How a scenario classifies a denial, the most serious classification first."""

    UNEXPECTED = "unexpected"
    TOLERATED = "tolerated"
    EXPECTED = "expected"

    @property
    def order(self) -> int:
        """Return the sort key: unexpected denials come first."""
        return list(Classification).index(self)


@dataclass(frozen=True)
class Ruling:
    """What the scenario says about a denial.

    classification: whether the denial is unexpected, tolerated or expected.
    entry: the entry of the scenario that says so; empty if the denial is unexpected.
    reason: the entry's reason.
    """

    classification: Classification = Classification.UNEXPECTED
    entry: str = ""
    reason: str = ""

    @property
    def is_unexpected(self) -> bool:
        return self.classification is Classification.UNEXPECTED

    @property
    def stays_denied(self) -> bool:
        """Return whether an entry says that nothing need allow the access.

        `denials: any` accepts denials without a statement about any of them.
        """
        return not self.is_unexpected and self.entry != ANY

    def to_json(self) -> dict[str, str]:
        """Return the keys that every JSON document has for the ruling on a denial."""
        return {"classification": self.classification.value, "entry": self.entry, "reason": self.reason}

    @property
    def in_words(self) -> str:
        """Format it as `tolerated by * -> etc_t:file { read }: harmless`; empty if it is unexpected."""
        return "" if self.is_unexpected else f"{self.classification.value} by {self.entry}: {self.reason}"

    @property
    def nothing_to_do(self) -> str:
        """Return why the user need not do anything, or an empty string if that is not so."""
        if not self.stays_denied:
            return ""
        verb = "tolerates" if self.classification is Classification.TOLERATED else "expects"
        return f"You need not do anything: the scenario {verb} this denial ({self.entry}: {self.reason})"


UNEXPECTED = Ruling()
"""The ruling on a denial about which the scenario says nothing."""
