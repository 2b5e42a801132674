"""The booleans that the policy has for what was denied."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.query.risk import Risk

SHORT = 3
"""Letters of a word that may be in any name by accident."""


@dataclass(frozen=True)
class Switch:
    """A condition of the policy, and what has to be set for it as the booleans are now: (name, value); nothing where there is a choice."""

    condition: str
    changes: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, condition: str, now: dict[str, bool]) -> Switch:
        """`a and not b` is taken apart; anything else is left to a person."""
        if re.search(r"\b(or|xor)\b|==|!=|not \(", condition):
            return cls(condition, ())
        wanted = [
            (word.removeprefix("not "), not word.startswith("not "))
            for word in re.sub(r"[()]", "", condition).split(" and ")
        ]
        return cls(condition, tuple((name, value) for name, value in wanted if now.get(name) != value))

    def is_named_for(self, domain: str) -> bool:
        """Whether it is one boolean with the domain's name in its own, as httpd_use_nfs, or virt_use_nfs for svirt_t."""
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


def booleans_for(need: DeniedAccess, expert: PolicyKnowledge, risk: Risk) -> list[Remedy]:
    """What to set so that rules of the policy allow all of it: first the fewest booleans, those named for the domain, those that grant
    least."""
    conditions = expert.index.conditional(need.source, need.target, need.tclass)
    left = need.permissions - expert.index.permissions(need.source, need.target, need.tclass)
    fitting = {
        one
        for found in conditions.values()
        for one in found
        if left and all(one in conditions.get(name, ()) for name in left)
    }
    switches = [Switch.of(condition, expert.index.base.booleans) for condition in sorted(fitting)]

    def order(switch: Switch) -> tuple[bool, int, bool, int]:
        return (
            not switch.changes,
            len(switch.changes),
            not switch.is_named_for(need.source),
            _breadth(need.source, switch.condition, expert),
        )

    ways: dict[str, Switch] = {}
    for switch in sorted(switches, key=order):
        ways.setdefault(switch.in_words, switch)
    why = "the policy has a rule for it"
    return [
        Remedy(Kind.BOOLEAN, words, why, risk, meant=switch.is_named_for(need.source))
        for words, switch in ways.items()
    ]


def _breadth(domain: str, condition: str, expert: PolicyKnowledge) -> int:
    """How many permissions between two types a condition grants a domain."""
    rules = [rule for rule in expert.index.rules_of(domain) if rule.condition == condition]
    return sum(len(rule.permissions) * max(1, len(expert.index.members(rule.target))) for rule in rules)
