"""A remedy in words: what it grants beyond the request, and what it may lead to."""

from __future__ import annotations

import pytest

from selab.advice.remedy import Kind, Remedy, brought
from selab.policy.query.risk import Level, Risk


@pytest.mark.parametrize(
    ("excess", "text"),
    [(0, ""), (1, "1 more permission than requested"), (2, "2 more permissions than requested")],
)
def test_the_excess_is_counted(excess: int, text: str) -> None:
    assert Remedy(Kind.INTERFACE, "x(y)", excess=excess).more == text


@pytest.mark.parametrize(
    ("level", "text", "is_risky"),
    [
        (Level.LOW, "", False),
        (Level.MEDIUM, "; risk medium: why", False),
        (Level.HIGH, "; risk high: why", True),
    ],
)
def test_a_risk_is_named_and_only_the_highest_makes_it_risky(level: Level, text: str, is_risky: bool) -> None:
    remedy = Remedy(Kind.RULE, "allow;", risk=Risk(level, "why"))
    assert (remedy.danger, remedy.is_risky) == (text, is_risky)


def test_everything_about_it_is_in_the_words() -> None:
    remedy = Remedy(Kind.INTERFACE, "x(y)", "it reads", Risk(Level.HIGH, "it is root"), 2)
    assert remedy.in_words == "x(y) (it reads), with 2 more permissions than requested; risk high: it is root"


def test_what_is_unknown_about_it_is_not_in_the_words() -> None:
    assert Remedy(Kind.RULE, "allow;").in_words == "allow;"


def test_what_a_remedy_brings_is_sorted_and_cut_short() -> None:
    rules = [(True, 0, "others"), (False, 0, "own"), (False, -1, "dangerous"), (True, 0, "x"), (True, 0, "y")]
    assert brought(rules) == "it brings dangerous; own; others; 2 more rules"


def test_only_calls_and_rules_are_written_into_a_policy() -> None:
    assert {kind for kind in Kind if Remedy(kind, "x").is_policy} == {
        Kind.INTERFACE,
        Kind.MACRO,
        Kind.ATTRIBUTE,
        Kind.RULE,
        Kind.BLOCK,
    }
