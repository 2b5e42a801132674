"""Which booleans, and in which order."""

from __future__ import annotations

import pytest

from selab.advice.advise import Situation, advise
from selab.advice.booleans import Switch, booleans_for
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import Level, Risk
from tests.unit.advice.conftest import BASE, need

MEDIUM = Risk(Level.MEDIUM, "why")
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
        ("one xor two", "set booleans so that: one xor two"),
        ("one == two", "set booleans so that: one == two"),
        ("one != two", "set booleans so that: one != two"),
        ("one_or_xor", "setsebool -P one_or_xor on"),
    ],
)
def test_only_what_is_not_set_already_is_to_be_set(condition: str, changes: str) -> None:
    assert Switch.of(condition, {"one": False, "two": True, "on": True}).in_words == changes


@pytest.mark.parametrize(
    ("changes", "domain", "named"),
    [
        (["httpd_use_nfs"], "httpd_t", True),
        (["allow_httpd"], "httpd_t", True),
        (["virt_use_nfs"], "svirt_t", True),
        (["use_nfs"], "useful_t", False),
        (["samba_share"], "httpd_t", False),
        (["httpd_a", "httpd_b"], "httpd_t", False),
        ([], "httpd_t", False),
    ],
)
def test_a_boolean_is_named_for_a_domain_whose_name_it_shares(
    changes: list[str], domain: str, named: bool
) -> None:
    switch = Switch("", tuple((name, True) for name in changes))
    assert switch.is_named_for(domain) is named


WAYS = """
(boolean narrow false) (boolean wide false) (boolean two false) (boolean part false) (boolean web_two false)
(booleanif (wide) (true (allow web_t file_type (dir (search read)))))
(booleanif (narrow) (true (allow web_t home_t (dir (search read)))))
(booleanif (and (two) (narrow)) (true (allow web_t home_t (dir (search read)))))
(booleanif (and (web_two) (part)) (true (allow web_t home_t (dir (search read)))))
(booleanif (part) (true (allow web_t home_t (dir (search)))))
(booleanif (or (two) (part)) (true (allow web_t home_t (dir (search read)))))
(allow web_t home_t (dir (open)))
"""


def test_all_ways_are_offered_the_one_that_sets_and_grants_least_first() -> None:
    expert = PolicyKnowledge(PolicyIndex(read_flat(BASE + WAYS)), InterfaceTable([]), ())
    remedies = booleans_for(need("web_t", "home_t", "dir", "search", "read", "open"), expert, MEDIUM)
    assert [remedy.text for remedy in remedies] == [
        "setsebool -P narrow on",
        "setsebool -P wide on",
        "setsebool -P two=1 narrow=1",
        "setsebool -P web_two=1 part=1",
        "set booleans so that: two or part",
    ]
    assert {(remedy.kind, remedy.risk, bool(remedy.why), remedy.meant) for remedy in remedies} == {
        (Kind.BOOLEAN, MEDIUM, True, False)
    }


def test_no_boolean_is_offered_for_what_rules_allow() -> None:
    expert = PolicyKnowledge(PolicyIndex(read_flat(BASE + WAYS)), InterfaceTable([]), ())
    assert booleans_for(need("web_t", "home_t", "dir", "open"), expert, MEDIUM) == []


def test_a_boolean_of_the_domain_is_meant_for_it(switched: PolicyKnowledge) -> None:
    remedies = booleans_for(need("web_t", "home_t", "dir", "search"), switched, MEDIUM)
    assert [remedy.meant for remedy in remedies] == [True, False]


def test_what_the_policy_has_for_a_domain_comes_before_leaving_it_denied(switched: PolicyKnowledge) -> None:
    advice = advise([need("web_t", "web_t", "capability", "sys_admin")], switched, {}, Situation())[0]
    assert [remedy.kind for remedy in advice.remedies[:2]] == [Kind.BOOLEAN, Kind.LEAVE]
