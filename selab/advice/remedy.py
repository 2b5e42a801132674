"""Define remedies: what can be done about a denial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from selab.policy.query.risk import LOW, Level, Risk


class Kind(StrEnum):
    """The kinds of remedies, the best first: a wrong label is corrected before anything is allowed."""

    RELABEL = "relabel"
    BOOLEAN = "boolean"
    INTERFACE = "interface"
    MACRO = "macro"
    ATTRIBUTE = "attribute"
    RULE = "rule"
    BLOCK = "block"
    LEAVE = "leave"


IN_CIL = (Kind.MACRO, Kind.BLOCK)
"""The kinds whose text is a statement of CIL: a call of a macro, and the inheritance of a block."""
EXAMPLES = 3
"""Rules to show of what a remedy brings."""


def brought(others: Iterable[tuple[bool, int, str]]) -> str:
    """Format what a remedy brings. Each entry has two values that it is sorted by, and the text of a rule."""
    ordered = sorted(others)
    shown = [text for *_, text in ordered[:EXAMPLES]]
    if more := len(ordered[EXAMPLES:]):
        shown.append(f"{more} more rule{'s' if more > 1 else ''}")
    return f"it brings {'; '.join(shown) or 'nothing else'}"


@dataclass(frozen=True)
class Remedy:
    """A remedy for a denial.

    kind: kind of remedy.
    text: what to write or run: a rule, a call, a command, a line of the scenario.
    why: reason, or empty.
    risk: what the remedy may lead to.
    excess: number of granted permissions beyond the requested ones.
    requires: pairs of kind and name that a rule must require from other modules.
    layer: layer of an interface in the reference policy.
    meant: whether the policy has the remedy for this very domain or purpose.
    foreign: whether an interface is about another domain's types, and grants the request for any two types.
    modifies: whether a call lets a domain modify files, and no denial is about modifying them.
    covers: other denials that an interface, macro or block fixes too, by source, target and class.
    permissions: permissions that a rule allows; an `allow` rule may not be necessary for an ioctl.
    commands: set of the ioctl commands that an allowxperm rule lists.
    """

    kind: Kind
    text: str
    why: str = ""
    risk: Risk = LOW
    excess: int = 0
    requires: tuple[tuple[str, str], ...] = ()
    layer: str = ""
    meant: bool = False
    foreign: bool = False
    modifies: bool = False
    covers: frozenset[tuple[str, str, str]] = frozenset()
    permissions: frozenset[str] = frozenset()
    commands: int = 0

    @property
    def is_policy(self) -> bool:
        """Return whether the remedy is a line of a policy that grants something."""
        return self.kind in (Kind.INTERFACE, *IN_CIL, Kind.ATTRIBUTE, Kind.RULE)

    @property
    def is_risky(self) -> bool:
        return self.risk.level is Level.HIGH

    @property
    def in_words(self) -> str:
        why = f" ({self.why})" if self.why else ""
        more = f", with {self.more}" if self.more else ""
        return f"{self.text}{why}{more}{self.danger}"

    @property
    def more(self) -> str:
        """Return how much is granted beyond the request, or an empty string."""
        return f"{self.excess} more permission{'s' * (self.excess > 1)} than requested" if self.excess else ""

    @property
    def danger(self) -> str:
        """Return what the remedy may lead to, as a suffix, or an empty string."""
        return "" if self.risk.level is Level.LOW else f"; risk {self.risk.level}: {self.risk.reason}"
