"""What can be done about a denial."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from selab.policy.query.risk import LOW, Level, Risk


class Kind(StrEnum):
    """The kinds of remedies, the best first: a label that is wrong is put right before anything is allowed."""

    RELABEL = "relabel"
    BOOLEAN = "boolean"
    INTERFACE = "interface"
    RULE = "rule"
    LEAVE = "leave"


@dataclass(frozen=True)
class Remedy:
    """`text` is what to write or to do: a rule, a call, a command, a line of the scenario; `requires` the names that a rule needs of
    others, (kind, name). `excess` counts the permissions between two types that come with it beyond what was asked. `meant`: the policy has
    it for this very domain. `covers` are the denials, by source, target and class, that an interface mends besides the one that it is for.
    """

    kind: Kind
    text: str
    why: str = ""
    risk: Risk = LOW
    excess: int = 0
    requires: tuple[tuple[str, str], ...] = ()
    layer: str = ""
    meant: bool = False
    covers: frozenset[tuple[str, str, str]] = frozenset()

    @property
    def is_policy(self) -> bool:
        """Whether it is a line of a .te that grants something."""
        return self.kind in (Kind.INTERFACE, Kind.RULE)

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
        """How much comes with it, or nothing."""
        return f"{self.excess} permission{'s' * (self.excess > 1)} more than asked" if self.excess else ""

    @property
    def danger(self) -> str:
        """What it may lead to, to be put behind it, or nothing."""
        return "" if self.risk.level is Level.LOW else f"; risk {self.risk.level}: {self.risk.reason}"
