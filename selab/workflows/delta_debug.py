"""Delta debugging: find the parts of a list without which a test no longer passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def reduce(parts: Sequence[T], passes: Callable[[Sequence[T], Sequence[T]], bool]) -> list[T]:
    """Remove as many parts as possible, and return the others in their order.

    `passes` is called with the parts that would be left and with the chunk that would be removed: first all
    parts, then halves, quarters and so on of what could not be removed (after Zeller and Hildebrandt, 2002).
    If a test that passes also passes with more parts, as it does with rules that grant, no remaining part can
    be removed, and `passes` was called for each of them alone.
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
