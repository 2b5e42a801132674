"""Denials and the results of a matrix in words."""

from __future__ import annotations

import pytest

from selab.matrix.plan import Ended
from selab.report.words import (
    columns,
    denial_line,
    denials_in_words,
    matrix_verdict,
    rows,
    ruled_line,
    target_and_class,
    verdict_in_words,
)
from selab.run.document import DenialEntry
from selab.run.verdict import Verdict
from tests.unit.documents import CLASSIFIED, DENIAL, document
from tests.unit.matrix.fakes import ended

PASSED, ERROR = ended(verdict="PASS"), ended()
FAILED, UNEXPECTED = ended(expected="FAIL", verdict="FAIL"), ended(expected="FAIL", verdict="PASS")


def denial(**fields: object) -> DenialEntry:
    return DenialEntry.model_validate(DENIAL | fields)


def test_a_denial_is_a_rule_with_its_count_and_an_example() -> None:
    assert denial_line(denial(count=3)) == (
        "web_t http_port_t:tcp_socket { name_bind } 3 times, for example apache2 src=80"
    )


def test_without_an_example_none_is_given() -> None:
    assert denial_line(denial(comm="", detail="")).endswith("{ name_bind } once")


def test_what_the_scenario_says_about_a_denial_follows_it() -> None:
    unexpected, tolerated, _ = document(**CLASSIFIED).denials
    assert ruled_line(unexpected) == denial_line(unexpected)
    assert ruled_line(tolerated) == f"{denial_line(tolerated)}; {tolerated.ruling.in_words}"


def test_an_example_cannot_act_on_a_terminal() -> None:
    assert "\x1b" not in denial_line(denial(comm="\x1b[31m"))


@pytest.mark.parametrize(("target", "text"), [("web_t", "self:tcp_socket"), ("x_t", "x_t:tcp_socket")])
def test_its_own_type_is_self(target: str, text: str) -> None:
    assert target_and_class(denial(target=target)) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (PASSED, "PASS"),
        (FAILED, "FAIL, as expected"),
        (UNEXPECTED, "PASS, not FAIL"),
        (ended(verdict="FAIL"), "FAIL"),
        (ERROR, "ERROR"),
        (ended(expected="FAIL"), "ERROR, not FAIL"),
    ],
)
def test_a_verdict_says_what_was_expected_if_that_was_not_a_pass(result: Ended, text: str) -> None:
    assert verdict_in_words(result) == text


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([PASSED, FAILED], Verdict.PASS),
        ([PASSED, UNEXPECTED], Verdict.FAIL),
        ([PASSED, UNEXPECTED, ERROR], Verdict.ERROR),
    ],
)
def test_a_matrix_is_as_good_as_its_worst_run(results: list[Ended], verdict: Verdict) -> None:
    assert matrix_verdict(results) is verdict


def test_denials_are_counted_by_permission_and_not_without_a_run() -> None:
    two = {**DENIAL, "permissions": ["name_bind", "name_connect"]}
    assert denials_in_words(ended(verdict="FAIL", denials=[two])) == " 2 denials"
    assert denials_in_words(PASSED) == " 1 denial"
    assert denials_in_words(ended(verdict="PASS", denials=[])) == " 0 denials"
    assert denials_in_words(ERROR) == ""


def test_a_table_has_a_place_for_each_run() -> None:
    results = [
        ended("web", "full", verdict="PASS"),
        ended("web", "full", "permissive", verdict="PASS"),
        ended("web", "draft", verdict="FAIL"),
    ]
    assert columns(results) == [("enforcing", "auto"), ("permissive", "auto")]
    assert rows(results) == {
        ("web", "full"): {("enforcing", "auto"): results[0], ("permissive", "auto"): results[1]},
        ("web", "draft"): {("enforcing", "auto"): results[2]},
    }


def test_a_matrix_counts_denials_by_classification() -> None:
    result = ended(verdict="FAIL", **CLASSIFIED)
    assert denials_in_words(result) == " 3 denials (1 unexpected, 1 tolerated, 1 expected)"
