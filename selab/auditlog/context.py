"""Parse security contexts and their MCS/MLS levels as text, without a policy."""

from __future__ import annotations

import functools
from dataclasses import dataclass

MAX_CATEGORY = 65535
"""A policy usually has 1,024 categories; a number above this comes from a broken or hostile record."""


@dataclass(frozen=True)
class Context:
    """A security context, `user:role:type[:level]`.

    user, role, type: its names.
    level: its MCS/MLS range, which may contain colons (`s0-s0:c0.c1023`), or empty without MLS.
    """

    user: str
    role: str
    type: str
    level: str = ""

    @classmethod
    def parse(cls, text: str) -> Context:
        """Parse a context. Raises ValueError if `text` has fewer than three non-empty parts."""
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
    """One end of a level's range.

    sensitivity: name of the sensitivity.
    categories: numbers of the categories.
    """

    sensitivity: str
    categories: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Level:
        """Parse `s0:c1.c5,c9`: sensitivity s0, categories 1 to 5 and 9. Raises ValueError for other forms."""
        sensitivity, _, categories = text.partition(":")
        if not _is_number(sensitivity, "s"):
            raise ValueError(f"not a sensitivity: {sensitivity[:80]!r}")
        return cls(sensitivity, _parse_categories(categories))

    def dominates(self, other: Level) -> bool:
        """Return whether this level dominates `other`: no lower a sensitivity, and all of its categories."""
        return int(self.sensitivity[1:]) >= int(other.sensitivity[1:]) and self.categories >= other.categories


def level_range(level: str) -> tuple[Level, Level]:
    """Return the low (current) and high (clearance) end of `low[-high]`. Raises ValueError if malformed."""
    low, _, high = level.partition("-")
    return Level.parse(low), Level.parse(high or low)


def categories(level: str) -> frozenset[int]:
    """Return the categories of a level's low end, a pair unique to each container; none if malformed."""
    try:
        return level_range(level)[0].categories
    except ValueError:
        return frozenset()


def mcs_separated(source: Context, target: Context) -> bool:
    """Return whether the levels alone separate the two: the source's high end does not dominate the target's.

    This is the condition `h1 dom h2` of the policy's mlsconstrain statements (refpolicy: policy/mcs). It does
    not show whether the source's type is subject to them (`mcs_constrained_type`). Malformed levels separate
    nothing.
    """
    try:
        return not level_range(source.level)[1].dominates(level_range(target.level)[1])
    except ValueError:
        return False


def _parse_categories(text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(",") if text else ():
        first, dotted, last = part.partition(".")
        start = _category(first)
        end = _category(last) if dotted else start
        if end < start:
            raise ValueError(f"not a range of categories: {part[:80]!r}")
        numbers.update(range(start, end + 1))
    return frozenset(numbers)


def _category(text: str) -> int:
    if not _is_number(text, "c") or int(text[1:]) > MAX_CATEGORY:
        raise ValueError(f"not a category: {text[:80]!r}")
    return int(text[1:])


def _is_number(text: str, letter: str) -> bool:
    digits = text[1:]
    return text[:1] == letter and digits.isascii() and digits.isdigit() and len(digits) <= 6
