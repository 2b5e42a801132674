"""What the checks of CIL know."""

from __future__ import annotations

from selab.policy.base import BasePolicy
from selab.policy.lint.cil import names_of_base
from selab.policy.lint.cil.subject import MOST_COMPARED

from .conftest import Lint


def test_the_names_of_the_base_policy_are_those_that_it_declares(base: BasePolicy) -> None:
    names = names_of_base(base).names
    assert {"kernel_t", "domain"} <= names["type"]
    assert (names["role"], names["user"], names["boolean"]) == ({"r"}, {"u"}, {"shiny"})


def test_similar_names_are_looked_for_a_limited_number_of_times(linted: Lint) -> None:
    text = "".join(f"(allow etc_t etc_t{number} (file (read)))\n" for number in range(MOST_COMPARED + 5))
    assert [bool(each.remedy) for each in linted(text)] == [True] * MOST_COMPARED + [False] * 5
