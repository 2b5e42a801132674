"""Find what keeps a container runtime from starting a process in a domain, in a linked policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.decide_subprocess import ask


@dataclass(frozen=True)
class Entry:
    """How a container's process comes into a domain: by a transition, and by an entry point.

    domain: the domain.
    starters: the domains that the container runtime may have.
    programs: the types that the container's program may have.
    mls: whether the policy has levels.
    """

    domain: str
    starters: Sequence[str]
    programs: Sequence[str]
    mls: bool = True

    def obstacles(self, policy: Path) -> list[Decision]:
        """Return what keeps every starter from the transition, and the domain from every entry point.

        Each is the first decision of its kind. Types that the policy does not have decide nothing.
        """
        transitions, entry_points = self._transitions, self._entry_points
        decisions = ask(policy, [*transitions, *entry_points], booleans=True)
        groups = decisions[: len(transitions)], decisions[len(transitions) :]
        known = ([each for each in group if each.cause is not Cause.UNKNOWN] for group in groups)
        return [group[0] for group in known if group and not any(each.allowed for each in group)]

    @property
    def _transitions(self) -> list[Access]:
        entered = self._context("system_r", self.domain)
        return [
            Access(self._context("system_r", each), entered, "process", "transition")
            for each in self.starters
        ]

    @property
    def _entry_points(self) -> list[Access]:
        entered = self._context("system_r", self.domain)
        programs = (self._context("object_r", each) for each in self.programs)
        return [Access(entered, program, "file", "entrypoint") for program in programs]

    def _context(self, role: str, name: str) -> str:
        return f"system_u:{role}:{name}{':s0' if self.mls else ''}"
