"""Which booleans, and in which order."""

from __future__ import annotations

import pytest

from selab.advice.advise import Situation, advise
from selab.advice.booleans import Switch
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from tests.unit.advice.conftest import BASE, need

SWITCHES = """
(boolean web_reads_homes false)
(boolean all_read_homes false)
(boolean is_on true)
(boolean web_admin false)
(booleanif (web_reads_homes) (true (allow web_t home_t (dir (search)))))
(booleanif (all_read_homes) (true (allow web_t home_t (dir (search)))))
(booleanif (and (is_on) (not (all_read_homes))) (true (allow web_t etc_t (dir (search)))))
(booleanif (web_admin) (true (allow web_t self (capability (sys_admin)))))
(booleanif (or (is_on) (web_admin)) (true (allow web_t volume_t (dir (search)))))
"""


@pytest.fixture
def switched() -> PolicyKnowledge:
    return PolicyKnowledge(PolicyIndex(read_flat(BASE + SWITCHES)), InterfaceTable([]), ())


def booleans(expert: PolicyKnowledge, target: str) -> list[str]:
    advice = advise([need("web_t", target, "dir", "search")], expert, {}, Situation())[0]
    return [remedy.text for remedy in advice.remedies if remedy.kind is Kind.BOOLEAN]


def test_the_one_that_is_named_for_the_domain_comes_first(switched: PolicyKnowledge) -> None:
    assert booleans(switched, "home_t") == [
        "setsebool -P web_reads_homes on",
        "setsebool -P all_read_homes on",
    ]


def test_a_choice_is_left_to_a_person(switched: PolicyKnowledge) -> None:
    assert booleans(switched, "volume_t") == ["set booleans so that: is_on or web_admin"]


@pytest.mark.parametrize(
    ("condition", "changes"),
    [
        ("one and not two", "setsebool -P one=1 two=0"),
        ("(one and on) and on", "setsebool -P one on"),
        ("not two", "setsebool -P two off"),
        ("not (one and two)", "set booleans so that: not (one and two)"),
    ],
)
def test_only_what_is_not_set_already_is_to_be_set(condition: str, changes: str) -> None:
    assert Switch.of(condition, {"one": False, "two": True, "on": True}).in_words == changes


def test_what_the_policy_has_for_a_domain_comes_before_leaving_it_denied(switched: PolicyKnowledge) -> None:
    advice = advise([need("web_t", "web_t", "capability", "sys_admin")], switched, {}, Situation())[0]
    assert [remedy.kind for remedy in advice.remedies[:2]] == [Kind.BOOLEAN, Kind.LEAVE]
