"""Rules in CIL that grant more than they show."""

from __future__ import annotations

import pytest

from .conftest import Lint, outline


@pytest.mark.parametrize(
    "text",
    [
        "\n(allow etc_t self (file (all)))",
        "\n(allow etc_t self (file (not (read))))",
        "\n(allow etc_t self (file (and (all) (not (read)))))",
        "(typeattribute a)\n(typeattributeset a (all)) (allow a etc_t (file (read)))",
        "(typeattribute a)\n(typeattributeset a (not (etc_t))) (allow etc_t a (file (read)))",
    ],
)
def test_a_wildcard_in_what_an_allow_rule_grants_is_a_warning(linted: Lint, text: str) -> None:
    assert outline(linted(text)) == [("warning", "wildcard", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "(dontaudit etc_t self (file (all)))",
        "(allow etc_t self (file (read)))",
        "(typeattribute a) (typeattributeset a (all)) (dontaudit a etc_t (file (read)))",
        "(typeattribute a) (typeattributeset a (and (domain) (not (etc_t)))) (allow a a (file (read)))",
    ],
)
def test_other_rules_and_sets_have_no_finding(linted: Lint, text: str) -> None:
    assert linted(text) == []
