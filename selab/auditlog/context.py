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
    ranges: first and last number of each range of its categories, ascending, with a gap between two ranges.
    """

    sensitivity: str
    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Level:
        """Parse `s0:c1.c5,c9`: sensitivity s0, categories 1 to 5 and 9. Raises ValueError for other forms."""
        sensitivity, _, categories = text.partition(":")
        if not _is_number(sensitivity, "s"):
            raise ValueError(f"not a sensitivity: {sensitivity[:80]!r}")
        return cls(sensitivity, _parse_categories(categories))

    def dominates(self, other: Level) -> bool:
        """Return whether this level dominates `other`: no lower a sensitivity, and all of its categories."""
        return int(self.sensitivity[1:]) >= int(other.sensitivity[1:]) and _cover(self.ranges, other.ranges)


def level_range(level: str) -> tuple[Level, Level]:
    """Return the low (current) and high (clearance) end of `low[-high]`. Raises ValueError if malformed."""
    low, _, high = level.partition("-")
    return Level.parse(low), Level.parse(high or low)


def categories(level: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of the categories of a level's low end, a pair unique to each container.

    A malformed level has none.
    """
    try:
        return level_range(level)[0].ranges
    except ValueError:
        return ()


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


def _parse_categories(text: str) -> tuple[tuple[int, int], ...]:
    """Parse `c1.c5,c9`. The ranges stay ranges: a short record can name all categories a thousand times."""
    ranges: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        first, dotted, last = part.partition(".")
        start = _category(first)
        end = _category(last) if dotted else start
        if end < start:
            raise ValueError(f"not a range of categories: {part[:80]!r}")
        ranges.append((start, end))
    return _merged(ranges)


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _cover(ranges: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> bool:
    """Return whether each of `others` lies in one of `ranges`. Both are ascending, so one pass is enough."""
    at = 0
    for first, last in others:
        while at < len(ranges) and ranges[at][1] < first:
            at += 1
        if at == len(ranges) or not ranges[at][0] <= first <= last <= ranges[at][1]:
            return False
    return True


def _category(text: str) -> int:
    if not _is_number(text, "c") or int(text[1:]) > MAX_CATEGORY:
        raise ValueError(f"not a category: {text[:80]!r}")
    return int(text[1:])


def _is_number(text: str, letter: str) -> bool:
    digits = text[1:]
    return text[:1] == letter and digits.isascii() and digits.isdigit() and len(digits) <= 6
