"""What blocks an access, in which order its remedies come, and which of them are written into a policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.advise import GENEROUS, Advice, Situation, Volume, advise, applicable
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.auditlog.classification import Classification, Ruling
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.query.decide import Cause
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import Level
from tests.unit.advice.conftest import BASE, CANDIDATE, ETC, granting, need

RUN = Situation("app_t", (Volume("/data"),), "volume_t")
READ_ETC = need("app_t", "etc_t", "file", "read")
TOLERATED = Ruling(Classification.TOLERATED, "* -> etc_t:* { * }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> etc_t:* { * }", "it is secret")


def only(
    denied: DeniedAccess, expert: PolicyKnowledge, cause: Cause = Cause.RULE, situation: Situation = RUN
) -> Advice:
    return advise([denied], expert, {denied.number: cause}, situation)[0]


def kinds(advice: Advice) -> list[Kind]:
    return [remedy.kind for remedy in advice.remedies]


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("denied", "cause", "word"),
    [
        (READ_ETC, Cause.RULE, "rule"),
        (READ_ETC, Cause.CONSTRAINT, "constraint"),
        (READ_ETC, Cause.ROLE, "role"),
        (READ_ETC, Cause.BOUNDS, "bound"),
        (READ_ETC, Cause.UNKNOWN, "no such permission of file"),
        (need("app_t", "new_t", "file", "read"), Cause.UNKNOWN, "no new_t"),
        (need("old_t", "etc_t", "file", "read"), Cause.UNKNOWN, "no old_t"),
        (need("old_t", "new_t", "file", "read"), Cause.UNKNOWN, "no old_t and no new_t"),
        (need("web_t", "home_t", "file", "read"), Cause.BOOLEAN, "boolean"),
        (need("web_t", "home_t", "file", "read", path="/srv/www/a"), Cause.RULE, "label"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_blocks_the_access_is_named_and_that_it_is_hidden(
    denied: DeniedAccess, cause: Cause, word: str, hidden: bool, expert: PolicyKnowledge
) -> None:
    stopped, _, suffix = only(replace(denied, hidden=hidden), expert, cause).stopped.partition(";")
    assert (word in stopped, "dontaudit" in suffix) == (True, hidden)


@pytest.mark.parametrize("ruling", [EXPECTED, TOLERATED])
def test_an_access_that_is_allowed_now_is_wrong_only_if_its_denial_is_expected(
    ruling: Ruling, expert: PolicyKnowledge
) -> None:
    advice = only(replace(READ_ETC, ruling=ruling), expert, Cause.NONE)
    wrong = ruling is EXPECTED
    assert (advice.wrongly_allowed, ruling.in_words in advice.in_a_line) == (wrong, wrong)
    assert advice.allowed_now and "allowed by the policy" in advice.in_a_line and advice.remedies == ()


def test_a_denial_that_is_expected_and_stays_denied_is_not_wrong(expert: PolicyKnowledge) -> None:
    advice = only(replace(READ_ETC, ruling=EXPECTED), expert)
    assert not advice.wrongly_allowed and not advice.allowed_now


def test_the_line_about_a_denial_is_its_best_remedy_or_what_blocks_it(expert: PolicyKnowledge) -> None:
    advice = only(READ_ETC, expert)
    assert advice.best is not None and advice.in_a_line == advice.best.in_words
    assert replace(advice, remedies=()).in_a_line == advice.stopped


@pytest.mark.parametrize(
    ("volume", "path", "expected"),
    [
        (Volume("/data"), "/data/x", [Kind.RELABEL, Kind.LEAVE]),
        (Volume("/data", "/srv"), "/data/x", [Kind.LEAVE]),
        (Volume("/data"), "/other", [Kind.LEAVE]),
    ],
    ids=["a copy", "a directory of the guest", "no volume"],
)
def test_categories_that_differ_are_changed_only_on_a_copy(
    volume: Volume, path: str, expected: list[Kind], expert: PolicyKnowledge
) -> None:
    denied = need("app_t", "volume_t", "file", "read", path=path)
    advice = only(denied, expert, Cause.MCS, Situation("app_t", (volume,), "volume_t"))
    assert (advice.cause, kinds(advice)) == (Cause.MCS, expected)
    if Kind.RELABEL in expected:
        assert advice.remedies[0].text.startswith("label: private") and "/data" in advice.remedies[0].text


@pytest.mark.parametrize("permission", ["nnp_transition", "nosuid_transition"])
def test_a_transition_without_new_privileges_has_one_rule(permission: str, expert: PolicyKnowledge) -> None:
    advice = only(need("app_t", "web_t", "process2", permission), expert)
    (remedy,) = advice.remedies
    assert (remedy.kind, remedy.text) == (Kind.RULE, f"allow app_t web_t:process2 {permission};")
    assert remedy.requires == (("type", "web_t"),) and advice.cause is Cause.RULE


@pytest.mark.parametrize(
    ("denied", "left"),
    [
        (need("web_t", "app_t", "process", "siginh", "rlimitinh", hidden=True), True),
        (need("web_t", "app_t", "process", "siginh", "rlimitinh"), False),
        (need("web_t", "app_t", "process", "siginh", "transition", hidden=True), False),
        (need("web_t", "app_t", "file", "siginh", hidden=True), False),
    ],
    ids=["hidden", "shown", "with another permission", "another class"],
)
def test_only_what_every_transition_hides_is_left_without_another_remedy(
    denied: DeniedAccess, left: bool, expert: PolicyKnowledge
) -> None:
    assert (kinds(only(denied, expert)) == [Kind.LEAVE]) is left


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        (GENEROUS, [Kind.INTERFACE, Kind.RULE, Kind.LEAVE]),
        (GENEROUS + 1, [Kind.RULE, Kind.INTERFACE, Kind.LEAVE]),
    ],
)
def test_a_generous_interface_comes_after_the_rule(
    excess: int, expected: list[Kind], expert: PolicyKnowledge
) -> None:
    words = frozenset({"read", *(f"p{number}" for number in range(excess))})
    table = InterfaceTable([granting("wide", Grant("allow", "$1", "etc_t", "file", words))])
    assert kinds(only(READ_ETC, replace(expert, table=table))) == expected


MUCH = Grant("allow", "$1", "home_t", "file", frozenset("abcdefghi"))


@pytest.mark.parametrize(
    ("more", "is_first"),
    [
        ([], True),
        ([MUCH], False),
        ([Grant("allow", "$1", "self", "capability", frozenset({"net_admin"}))], False),
        ([Grant("allow", "$1", "self", "capability", frozenset({"sys_admin"}))], False),
    ],
    ids=["brings nothing else", "brings much", "of medium risk", "of high risk"],
)
def test_a_block_comes_first_only_if_it_brings_little_and_of_a_low_risk(
    more: list[Grant], is_first: bool, expert: PolicyKnowledge
) -> None:
    logs = granting("blockinherit logs", ETC, *more, kind="block")
    table = InterfaceTable([replace(logs, parameters=("app_t",))])
    both = [Kind.BLOCK, Kind.RULE] if is_first else [Kind.RULE, Kind.BLOCK]
    assert kinds(only(READ_ETC, replace(expert, table=table))) == [*both, Kind.LEAVE]


@pytest.mark.parametrize(("risky", "count"), [(False, 0), (True, 1)])
def test_a_call_of_high_risk_is_written_on_request_only(
    risky: bool, count: int, expert: PolicyKnowledge
) -> None:
    read = granting("call reads", Grant("allow", "$1", "shadow_t", "file", frozenset({"read"})), kind="macro")
    knowledge = replace(expert, table=InterfaceTable([read]))
    advice = only(need("app_t", "shadow_t", "file", "read"), knowledge)
    assert Kind.MACRO in kinds(advice) and len(applicable([advice], risky=risky)) == count


def test_a_macro_that_is_more_dangerous_than_the_rule_is_not_offered(expert: PolicyKnowledge) -> None:
    admin = Grant("allow", "$1", "self", "capability", frozenset({"sys_admin"}))
    table = InterfaceTable([granting("call admin", ETC, admin, kind="macro")])
    assert Kind.MACRO not in kinds(only(READ_ETC, replace(expert, table=table)))


@pytest.mark.parametrize(
    ("excess", "expected"), [(GENEROUS, [Kind.MACRO, Kind.RULE]), (GENEROUS + 1, [Kind.RULE, Kind.MACRO])]
)
def test_a_generous_macro_comes_after_the_rule(
    excess: int, expected: list[Kind], expert: PolicyKnowledge
) -> None:
    words = frozenset({"read", *(f"p{number}" for number in range(excess))})
    wide = granting("call wide", Grant("allow", "$1", "etc_t", "file", words), kind="macro")
    assert kinds(only(READ_ETC, replace(expert, table=InterfaceTable([wide]))))[:2] == expected


def test_an_interface_that_is_more_dangerous_than_the_rule_is_not_offered(expert: PolicyKnowledge) -> None:
    admin = Grant("allow", "$1", "self", "capability", frozenset({"sys_admin"}))
    table = InterfaceTable([granting("read_etc", ETC), granting("admin", ETC, admin)])
    texts = [remedy.text for remedy in only(READ_ETC, replace(expert, table=table)).remedies]
    assert "read_etc(app_t)" in texts and "admin(app_t)" not in texts


@pytest.mark.parametrize(
    ("permission", "level", "expected"),
    [
        ("setuid", Level.LOW, [Kind.RULE, Kind.LEAVE]),
        ("net_admin", Level.MEDIUM, [Kind.RULE, Kind.LEAVE]),
        ("sys_admin", Level.HIGH, [Kind.LEAVE, Kind.RULE]),
    ],
)
def test_a_rule_comes_before_leaving_it_denied_unless_it_is_dangerous(
    permission: str, level: Level, expected: list[Kind], expert: PolicyKnowledge
) -> None:
    advice = only(need("app_t", "app_t", "capability", permission), expert)
    assert kinds(advice) == expected and {remedy.risk.level for remedy in advice.remedies} == {level}


@pytest.mark.parametrize(
    ("source", "target", "requires"),
    [
        ("app_t", "etc_t", (("type", "etc_t"),)),
        ("web_t", "etc_t", (("type", "web_t"), ("type", "etc_t"))),
        ("web_t", "web_t", (("type", "web_t"),)),
        ("app_t", "app_t", ()),
    ],
)
def test_a_rule_requires_the_types_of_others_once(
    source: str, target: str, requires: tuple[tuple[str, str], ...], expert: PolicyKnowledge
) -> None:
    advice = only(need(source, target, "file", "write", "read"), expert)
    rule = next(remedy for remedy in advice.remedies if remedy.kind is Kind.RULE)
    assert (rule.requires, rule.permissions, rule.commands) == (requires, {"read", "write"}, 0)


@pytest.mark.parametrize("works", [False, True])
def test_leaving_it_denied_hides_it_and_says_whether_the_steps_need_it(
    works: bool, expert: PolicyKnowledge
) -> None:
    advice = only(READ_ETC, expert, situation=replace(RUN, works_without=works))
    leave = next(remedy for remedy in advice.remedies if remedy.kind is Kind.LEAVE)
    assert leave.text == "dontaudit app_t etc_t:file read;"
    assert ("succeeded" in leave.why) is works


def test_an_access_whose_denial_is_expected_elsewhere_is_left_denied(expert: PolicyKnowledge) -> None:
    other = need("app_t", "etc_t", "file", "read", "open", number=2, ruling=EXPECTED)
    unrelated = need("app_t", "etc_t", "file", "write", number=3)
    advised = advise([READ_ETC, other, unrelated], expert, {}, RUN)
    assert kinds(advised[0]) == [Kind.LEAVE] and Kind.RULE in kinds(advised[2])


def line(text: str, denied: DeniedAccess, *covered: DeniedAccess) -> Advice:
    covers = frozenset(each.key for each in (denied, *covered))
    return Advice(denied, "", Cause.RULE, (Remedy(Kind.INTERFACE, text, covers=covers),))


READ_HOME = need("app_t", "home_t", "file", "read", number=2)


@pytest.mark.parametrize(
    ("advised", "left"),
    [
        ([line("etc(app_t)", READ_ETC), line("both(app_t)", READ_HOME, READ_ETC)], ["both(app_t)"]),
        (
            [line("both(app_t)", READ_ETC, READ_HOME), line("too(app_t)", READ_HOME, READ_ETC)],
            ["both(app_t)"],
        ),
        ([line("etc(app_t)", READ_ETC), line("home(app_t)", READ_HOME)], ["etc(app_t)", "home(app_t)"]),
        ([line("x(app_t)", READ_ETC, READ_HOME), line("x(app_t)", READ_HOME, READ_ETC)], ["x(app_t)"] * 2),
    ],
    ids=["one covers both", "each covers both", "each covers its own", "one line for both"],
)
def test_a_line_that_another_makes_redundant_is_left_out(advised: list[Advice], left: list[str]) -> None:
    assert [remedy.text for _, remedy in applicable(advised)] == left


@pytest.mark.parametrize(("kind", "written"), [(Kind.RELABEL, 0), (Kind.BOOLEAN, 0), (Kind.LEAVE, 1)])
def test_a_line_is_written_unless_a_label_or_a_boolean_is_better(kind: Kind, written: int) -> None:
    advised = replace(line("x(app_t)", READ_ETC), remedies=(Remedy(kind, "a"), Remedy(Kind.RULE, "b")))
    assert len(applicable([advised])) == written


def test_the_best_line_that_is_no_high_risk_is_written(expert: PolicyKnowledge) -> None:
    safe, risky = (Remedy(Kind.RULE, "safe"), replace(only(READ_ETC, expert).remedies[0], text="risky"))
    risky = replace(risky, risk=replace(risky.risk, level=Level.HIGH))
    advised = replace(line("", READ_ETC), remedies=(risky, safe))
    assert [remedy.text for _, remedy in applicable([advised])] == ["safe"]
    assert [remedy.text for _, remedy in applicable([advised], risky=True)] == ["risky"]


def test_without_a_remedy_nothing_is_written() -> None:
    assert applicable([Advice(READ_ETC, "", Cause.UNKNOWN, ())]) == []


def test_an_alias_is_known_to_the_policy() -> None:
    base = read_flat(f"{BASE}(typealias old_t)\n(typealiasactual old_t etc_t)\n")
    index = PolicyIndex(base, read_candidates([CANDIDATE], base))
    expert = PolicyKnowledge(index, InterfaceTable([]), ())
    stopped = only(need("app_t", "old_t", "file", "read"), expert, Cause.UNKNOWN).stopped
    assert "no such permission of file" in stopped
