"""Delta debugging, without anything to debug."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from selab.workflows.delta_debug import reduce


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_exactly_what_is_needed_is_left(parts: set[int], needed: set[int]) -> None:
    needed &= parts
    assert set(reduce(sorted(parts), lambda left, _: needed <= set(left))) == needed


def test_one_of_two_that_do_the_same_is_left() -> None:
    assert len(reduce([1, 2], lambda left, _: bool(left))) == 1


@given(st.sets(st.integers(0, 40), min_size=1), st.data())
def test_each_that_is_left_was_asked_about_by_itself(parts: set[int], data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.sampled_from(sorted(parts))))
    refused: set[int] = set()

    def passes(left: Sequence[int], chunk: Sequence[int]) -> bool:
        passed = needed <= set(left)
        if not passed and len(chunk) == 1:
            refused.update(chunk)
        return passed

    assert set(reduce(sorted(parts), passes)) == refused


def test_what_is_not_needed_goes_at_once() -> None:
    tried: list[Sequence[int]] = []
    reduce(range(100), lambda left, _: not tried.append(left))
    assert tried == [[]]
