"""Delta debugging: the part of a list that a test still passes with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def reduce(parts: Sequence[T], passes: Callable[[Sequence[T], Sequence[T]], bool]) -> list[T]:
    """The parts that are left when as many as possible were taken away, in their order.

    `passes` is asked with what would be left, and with what would go now: all, then halves, quarters and so on of what could not go
    (after Zeller and Hildebrandt, 2002). Where a test that passes also passes with more, as with rules that grant, none of what is left
    can go; it was asked about each of those by itself.
    """
    left = list(parts)

    def drop(chunk: Sequence[T]) -> None:
        trial = [part for part in left if part not in chunk]
        if passes(trial, chunk):
            left[:] = trial
        elif len(chunk) > 1:
            middle = len(chunk) // 2
            drop(chunk[:middle])
            drop(chunk[middle:])

    if parts:
        drop(parts)
    return left
