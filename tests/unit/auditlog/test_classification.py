"""What a scenario says about a denial, in words and in JSON."""

from __future__ import annotations

import pytest

from selab.auditlog.classification import ANY, UNEXPECTED, Classification, Ruling

TOLERATED = Ruling(Classification.TOLERATED, "* -> etc_t:file { read }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> shadow_t:file { read }", "it is secret")
BY_ANY = Ruling(Classification.TOLERATED, ANY, "any denial")


@pytest.mark.parametrize(
    ("ruling", "stays"), [(UNEXPECTED, False), (TOLERATED, True), (EXPECTED, True), (BY_ANY, False)]
)
def test_only_an_entry_of_its_own_keeps_a_denial_denied(ruling: Ruling, stays: bool) -> None:
    assert ruling.stays_denied is stays


def test_the_words_name_the_entry_and_the_reason() -> None:
    assert TOLERATED.in_words == "tolerated by * -> etc_t:file { read }: harmless"


def test_an_unexpected_denial_has_no_words() -> None:
    assert UNEXPECTED.in_words == UNEXPECTED.nothing_to_do == ""


def test_the_user_need_not_do_anything_because_of_the_entry() -> None:
    assert TOLERATED.nothing_to_do == (
        "You need not do anything: the scenario tolerates this denial (* -> etc_t:file { read }: harmless)"
    )


def test_unexpected_denials_come_first() -> None:
    assert [each.value for each in sorted(Classification, key=lambda each: each.order)] == [
        "unexpected",
        "tolerated",
        "expected",
    ]


def test_json_has_three_keys() -> None:
    assert EXPECTED.to_json() == {
        "classification": "expected",
        "entry": "* -> shadow_t:file { read }",
        "reason": "it is secret",
    }
