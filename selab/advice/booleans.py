"""Find the policy's booleans that would permit a denied access."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.query.risk import Risk

SHORT = 3
"""A word of up to this many letters may occur in a name by accident."""


@dataclass(frozen=True)
class Switch:
    """A condition of the policy.

    condition: boolean expression.
    changes: names and values to set, given the present values; empty if there are several ways.
    """

    condition: str
    changes: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, condition: str, now: dict[str, bool]) -> Switch:
        """Parse `a and not b`; other expressions have no `changes` and are left to you."""
        if re.search(r"\b(or|xor)\b|==|!=|not \(", condition):
            return cls(condition, ())
        required = [
            (word.removeprefix("not "), not word.startswith("not "))
            for word in re.sub(r"[()]", "", condition).split(" and ")
        ]
        return cls(condition, tuple((name, value) for name, value in required if now.get(name) != value))

    def is_named_for(self, domain: str) -> bool:
        """Return whether one boolean is named for the domain: httpd_use_nfs, or virt_use_nfs for svirt_t."""
        stem = domain.removesuffix("_t")
        first = self.changes[0][0].split("_", 1)[0] if self.changes else ""
        return len(self.changes) == 1 and (
            stem in self.changes[0][0] or (len(first) > SHORT and first in stem)
        )

    @property
    def in_words(self) -> str:
        if not self.changes:
            return f"set booleans so that: {self.condition}"
        if len(self.changes) == 1:
            return f"setsebool -P {self.changes[0][0]} {'on' if self.changes[0][1] else 'off'}"
        return f"setsebool -P {' '.join(f'{name}={value:d}' for name, value in self.changes)}"


def booleans_for(need: DeniedAccess, policy: PolicyKnowledge, risk: Risk) -> list[Remedy]:
    """Return the booleans to set so that rules of the policy allow everything that was denied.

    Alternatives with the fewest booleans come first, then those named for the domain, then those that grant
    least.
    """
    conditions = policy.index.conditional(need.source, need.target, need.tclass)
    left = need.permissions - policy.index.permissions(need.source, need.target, need.tclass)
    fitting = {
        condition
        for alternatives in conditions.values()
        for condition in alternatives
        if left and all(condition in conditions.get(name, ()) for name in left)
    }
    switches = [Switch.of(condition, policy.index.base.booleans) for condition in sorted(fitting)]

    def order(switch: Switch) -> tuple[bool, int, bool, int]:
        return (
            not switch.changes,
            len(switch.changes),
            not switch.is_named_for(need.source),
            _breadth(need.source, switch.condition, policy),
        )

    ways: dict[str, Switch] = {}
    for switch in sorted(switches, key=order):
        ways.setdefault(switch.in_words, switch)
    why = "the policy has a rule for it"
    return [
        Remedy(Kind.BOOLEAN, words, why, risk, meant=switch.is_named_for(need.source))
        for words, switch in ways.items()
    ]


def _breadth(domain: str, condition: str, policy: PolicyKnowledge) -> int:
    """Count the permissions between two types that a condition grants a domain."""
    rules = [rule for rule in policy.index.rules_of(domain) if rule.condition == condition]
    return sum(len(rule.permissions) * max(1, len(policy.index.members(rule.target))) for rule in rules)
