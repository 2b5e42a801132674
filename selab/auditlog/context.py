"""Security contexts and their MCS/MLS levels, as text: nothing here asks a policy."""

from __future__ import annotations

import functools
from dataclasses import dataclass

MAX_CATEGORY = 65535
"""A policy has 1,024 categories as a rule; a larger number than this is no category but a broken or hostile record."""


@dataclass(frozen=True)
class Context:
    """`user:role:type[:level]`. `level` is empty where the policy has no MLS; it may hold colons (`s0-s0:c0.c1023`)."""

    user: str
    role: str
    type: str
    level: str = ""

    @classmethod
    def parse(cls, text: str) -> Context:
        """Raises ValueError where `text` has fewer than three non-empty parts."""
        return _parse(text)

    def __str__(self) -> str:
        return ":".join(part for part in (self.user, self.role, self.type, self.level) if part)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Context:
    parts = text.split(":", 3)
    if len(parts) < 3 or not all(parts) or any(character.isspace() for character in text):
        raise ValueError(f"not a security context: {text[:80]!r}")
    return Context(*parts)


@dataclass(frozen=True)
class Level:
    """One sensitivity and its set of categories: one end of a level's range."""

    sensitivity: str
    categories: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Level:
        """`s0:c1.c5,c9` is sensitivity s0 with the categories 1 to 5 and 9. Raises ValueError for anything else, translated names too."""
        sensitivity, _, categories = text.partition(":")
        if not _is_number(sensitivity, "s"):
            raise ValueError(f"not a sensitivity: {sensitivity[:80]!r}")
        return cls(sensitivity, _parse_categories(categories))

    def dominates(self, other: Level) -> bool:
        """`dom` of a policy's constraints: no lower a sensitivity, and all of the other's categories."""
        return int(self.sensitivity[1:]) >= int(other.sensitivity[1:]) and self.categories >= other.categories


def level_range(level: str) -> tuple[Level, Level]:
    """The low (current) and the high (clearance) end of `low[-high]`. Raises ValueError for an empty or malformed level."""
    low, _, high = level.partition("-")
    return Level.parse(low), Level.parse(high or low)


def categories(level: str) -> frozenset[int]:
    """The categories of the low end of a level: for a container, the pair that tells it from the others. Malformed: none."""
    try:
        return level_range(level)[0].categories
    except ValueError:
        return frozenset()


def mcs_separated(source: Context, target: Context) -> bool:
    """Whether the levels alone would keep `source` from `target`: the source's high end does not dominate the target's.

    This is the condition `h1 dom h2` of the policy's mlsconstrain statements (refpolicy: policy/mcs). It says nothing about whether
    the source's type is bound by it (`mcs_constrained_type`). Levels that cannot be read separate nothing.
    """
    try:
        return not level_range(source.level)[1].dominates(level_range(target.level)[1])
    except ValueError:
        return False


def _parse_categories(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dotted, last = part.partition(".")
        start = _category(first)
        end = _category(last) if dotted else start
        if end < start:
            raise ValueError(f"not a range of categories: {part[:80]!r}")
        found.update(range(start, end + 1))
    return frozenset(found)


def _category(text: str) -> int:
    if not _is_number(text, "c") or int(text[1:]) > MAX_CATEGORY:
        raise ValueError(f"not a category: {text[:80]!r}")
    return int(text[1:])


def _is_number(text: str, letter: str) -> bool:
    digits = text[1:]
    return text[:1] == letter and digits.isascii() and digits.isdigit() and len(digits) <= 6
