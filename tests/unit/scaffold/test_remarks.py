"""What is not carried over is listed once, and the list has an end."""

from __future__ import annotations

import pytest

from selab.scaffold.remarks import MOST_LEFT, Remarks
from selab.scenario.container import Volume


def test_a_remark_is_listed_once() -> None:
    remarks = Remarks()
    remarks.leave("a", "b")
    remarks.leave("a", "b")
    assert remarks.left == ["a: b"]


def test_the_list_has_an_end() -> None:
    remarks = Remarks()
    for number in range(100):
        remarks.leave(str(number), "x")
    assert (len(remarks.left), remarks.left[-1]) == (MOST_LEFT + 1, "and more")


def test_a_refused_value_is_listed_with_the_reason() -> None:
    remarks = Remarks()
    with remarks.trying("volume"):
        Volume(target="x")
    with remarks.trying("command"):
        raise ValueError("it is empty")
    assert [line.partition(":")[0] for line in remarks.left] == ["volume", "command"]


def test_another_error_is_not_hidden() -> None:
    with pytest.raises(KeyError), Remarks().trying("x"):
        raise KeyError
