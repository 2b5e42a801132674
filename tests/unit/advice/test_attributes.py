"""Which attributes permit what was denied, what else they bring, and when they come first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.advise import advise, applicable
from selab.advice.attributes import attributes_for
from selab.advice.block import block
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.query.decide import Cause
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import LOW, Level
from tests import centos_like
from tests.unit.advice.conftest import granting, need

# As virt_sandbox_domain_template leaves it: a container engine may not start it.
CANDIDATE = """
(type web_t)
(typeattributeset domain (web_t))
(typeattributeset svirt_sandbox_domain (web_t))
"""
EXECUTED = frozenset({"getattr", "open", "read", "execute", "map"})
RSYNC = granting(
    "rsync_entry_spec_domtrans",
    Grant("allow", "$1", "$2", "process", frozenset({"transition"})),
    Grant("allow", "$1", "rsync_exec_t", "file", EXECUTED),
    Grant("allow", "$2", "rsync_exec_t", "file", frozenset({"entrypoint"})),
)
START = need("container_runtime_t", "web_t", "process", "transition")
BIND = need("web_t", "http_port_t", "tcp_socket", "name_bind")


@pytest.fixture(scope="module")
def index() -> PolicyIndex:
    base = read_flat(centos_like.flat_base())
    return PolicyIndex(base, read_candidates([CANDIDATE], base))


@pytest.fixture
def centos(index: PolicyIndex) -> PolicyKnowledge:
    table = InterfaceTable([replace(RSYNC, required=2)])
    return PolicyKnowledge(index, table, (), container_type="container_t")


def offered(knowledge: PolicyKnowledge, denied: DeniedAccess) -> list[str]:
    return [remedy.text for remedy in attributes_for(denied, knowledge, {denied.key: denied.permissions}, {})]


def test_the_attribute_by_which_engines_start_containers_is_found(centos: PolicyKnowledge) -> None:
    assert offered(centos, START)[0] == "typeattribute web_t container_domain;"


@pytest.mark.parametrize(
    ("container_type", "order"),
    [("container_t", ["container_domain", "virt_domain"]), ("", ["virt_domain", "container_domain"])],
)
def test_the_attribute_of_the_default_container_domain_comes_first_although_another_brings_less(
    index: PolicyIndex, container_type: str, order: list[str]
) -> None:
    knowledge = PolicyKnowledge(index, InterfaceTable([]), (), container_type=container_type)
    assert offered(knowledge, START) == [f"typeattribute web_t {name};" for name in order]


def test_no_attribute_is_offered_for_types_that_are_not_the_candidates(centos: PolicyKnowledge) -> None:
    assert offered(centos, need("container_runtime_t", "httpd_t", "process", "dyntransition")) == []


def test_what_the_candidate_itself_does_is_left_to_interfaces_and_rules(centos: PolicyKnowledge) -> None:
    assert offered(centos, BIND) == []


def test_all_permissions_must_be_covered(centos: PolicyKnowledge) -> None:
    assert offered(centos, need("container_runtime_t", "web_t", "process", "transition", "ptrace")) == []


def test_an_attribute_that_grants_an_expected_denial_is_left_out(centos: PolicyKnowledge) -> None:
    expected = {("web_t", "container_ro_file_t", "file"): frozenset({"read"})}
    remedies = attributes_for(START, centos, {}, expected)
    assert [remedy.text for remedy in remedies] == ["typeattribute web_t virt_domain;"]


def test_what_else_an_attribute_brings_is_shown(centos: PolicyKnowledge) -> None:
    remedy, _ = attributes_for(START, centos, {START.key: START.permissions}, {})
    assert remedy.excess > 0
    shown, others = remedy.why.split("web_t ")[1:], "more rules"
    assert (len(shown), others in remedy.why) == (3, True)
    assert remedy.requires == (("attribute", "container_domain"),)


def test_a_domain_that_cannot_be_entered_gets_the_attribute_and_no_interface_of_another_domain(
    centos: PolicyKnowledge,
) -> None:
    (advice,) = advise([START], centos, {1: Cause.RULE})
    kinds = [remedy.kind for remedy in advice.remedies]
    assert (advice.best and advice.best.text) == "typeattribute web_t container_domain;"
    assert kinds.index(Kind.RULE) < kinds.index(Kind.INTERFACE)


def test_for_any_other_access_the_rule_comes_before_an_attribute(centos: PolicyKnowledge) -> None:
    (advice,) = advise([need("container_runtime_t", "web_t", "dir", "search")], centos, {1: Cause.RULE})
    kinds = [remedy.kind for remedy in advice.remedies]
    assert kinds.index(Kind.RULE) < kinds.index(Kind.ATTRIBUTE)


def test_an_attribute_is_written_into_the_policy_with_its_requirement(centos: PolicyKnowledge) -> None:
    advised = advise([START], centos, {1: Cause.RULE})
    lines = block(applicable(advised)).splitlines()
    assert "\tattribute container_domain;" in lines
    assert "typeattribute web_t container_domain;" in lines


def test_an_attribute_whose_members_a_deny_rule_keeps_from_it_is_not_offered() -> None:
    denied = "(deny container_runtime_t container_domain (process (transition)))\n"
    base = read_flat(centos_like.flat_base() + denied)
    index = PolicyIndex(base, read_candidates([CANDIDATE], base))
    assert offered(PolicyKnowledge(index, InterfaceTable([]), ()), START) == [
        "typeattribute web_t virt_domain;"
    ]


def test_for_what_a_deny_rule_takes_away_no_rule_is_advised() -> None:
    base = read_flat(centos_like.flat_base())
    candidate = f"{CANDIDATE}(typeattributeset container_domain (web_t))"
    index = PolicyIndex(base, read_candidates([candidate], base))
    knowledge = PolicyKnowledge(index, InterfaceTable([]), ())
    every, some = (
        need("web_t", "web_t", "alg_socket", "create"),
        need("web_t", "web_t", "alg_socket", "create", "read"),
    )
    (advice,) = advise([every], knowledge, {every.number: Cause.RULE})
    assert [remedy.kind for remedy in advice.remedies] == [Kind.LEAVE] and "deny" in advice.stopped
    assert applicable([advice], risky=True) == []
    (advice,) = advise([some], knowledge, {some.number: Cause.RULE})
    assert [remedy.text for _, remedy in applicable([advice], risky=True)] == [
        "allow web_t self:alg_socket read;"
    ]
    assert "deny" in advice.stopped


# An engine that may start the members of `started`, which the candidate is not.
SMALL = """
(class process (transition signal ptrace))
(class file (read write))
(class dir (read))
(type engine_t)
(type other_t)
(type data_t)
(typeattribute started)
(allow engine_t started (process (transition)))
"""
STARTED = need("engine_t", "web_t", "process", "transition")


def small(*statements: str, candidate: str = "(type web_t)") -> PolicyKnowledge:
    base = read_flat(SMALL + "\n".join(statements))
    return PolicyKnowledge(
        PolicyIndex(base, read_candidates([candidate], base)), InterfaceTable([]), (), container_type=""
    )


def test_two_rules_about_an_attribute_grant_it_together() -> None:
    denied = need("engine_t", "web_t", "process", "transition", "signal")
    policy = small("(allow engine_t started (process (signal)))")
    assert offered(policy, denied) == ["typeattribute web_t started;"]


def test_what_an_attribute_lets_another_source_do_does_not_help() -> None:
    assert offered(small(), need("other_t", "web_t", "process", "transition")) == []


def test_an_attribute_that_the_candidate_has_is_not_offered() -> None:
    policy = small(candidate="(type web_t)\n(typeattributeset started (web_t))")
    assert offered(policy, STARTED) == []


@pytest.mark.parametrize(
    ("deny", "names"),
    [
        ("(deny engine_t started (process (transition)))", []),
        ("(deny engine_t web_t (process (transition)))", []),
        ("(deny engine_t self (process (transition)))", ["started"]),
        ("(deny started started (process (transition)))", ["started"]),
    ],
)
def test_a_deny_rule_counts_as_it_is_about_a_new_member(deny: str, names: list[str]) -> None:
    assert offered(small(deny), STARTED) == [f"typeattribute web_t {name};" for name in names]


@pytest.mark.parametrize("target", ["self", "selfish"])
def test_a_deny_rule_about_the_members_themselves_counts_for_a_new_member(target: str) -> None:
    denied = need("web_t", "web_t", "process", "ptrace")
    allow = "(typeattribute selfish)\n(allow selfish self (process (ptrace)))"
    assert offered(small(allow), denied) == ["typeattribute web_t selfish;"]
    assert offered(small(allow, f"(deny selfish {target} (process (ptrace)))"), denied) == []


@pytest.mark.parametrize(
    ("key", "permission"),
    [
        (("web_t", "data_t", "dir"), "read"),
        (("web_t", "data_t", "file"), "write"),
        (("other_t", "data_t", "file"), "read"),
        (("web_t", "other_t", "file"), "read"),
    ],
    ids=["another class", "another permission", "another source", "another target"],
)
def test_an_attribute_that_grants_something_else_than_an_expected_denial_is_offered(
    key: tuple[str, str, str], permission: str
) -> None:
    policy = small("(allow started data_t (file (read)))")
    assert attributes_for(STARTED, policy, {}, {key: frozenset({permission})})


def test_an_attribute_that_brings_nothing_else_says_so() -> None:
    (remedy,) = attributes_for(STARTED, small(), {}, {})
    assert (remedy.why, remedy.excess, remedy.risk) == ("it brings nothing else", 0, LOW)


def test_what_an_attribute_brings_is_shown_with_the_members_own_rules_first() -> None:
    brought = [
        "(allow other_t started (process (signal)))",
        "(allow started data_t (file (read write)))",
        "(allow started self (process (signal)))",
    ]
    (remedy,) = attributes_for(
        STARTED, small(*brought), {("web_t", "data_t", "file"): frozenset({"read"})}, {}
    )
    assert remedy.why == (
        "it brings web_t data_t:file { read write }; web_t self:process signal; other_t web_t:process signal"
    )
    assert remedy.excess == 3


@pytest.mark.parametrize(("types", "end"), [(3, "file read"), (4, "; 1 more rule"), (5, "; 2 more rules")])
def test_rules_that_are_not_shown_are_counted(types: int, end: str) -> None:
    brought = [f"(type t{number})(allow started t{number} (file (read)))" for number in range(types)]
    (remedy,) = attributes_for(STARTED, small(*brought), {}, {})
    assert remedy.why.endswith(end)


def test_the_risk_of_an_attribute_is_that_of_its_most_dangerous_rule_for_the_member() -> None:
    capability = "(class capability (sys_admin))"
    (own,) = attributes_for(
        STARTED, small(capability, "(allow started self (capability (sys_admin)))"), {}, {}
    )
    others = small(capability, "(allow engine_t self (capability (sys_admin)))")
    (foreign,) = attributes_for(STARTED, others, {}, {})
    assert (own.risk.level, foreign.risk.level) == (Level.HIGH, Level.LOW)


@pytest.mark.parametrize(
    ("permission", "rule", "meant"),
    [("transition", "", True), ("ptrace", "(allow engine_t started (process (ptrace)))", False)],
)
def test_an_attribute_is_meant_for_starting_a_domain(permission: str, rule: str, meant: bool) -> None:
    denied = need("engine_t", "web_t", "process", permission)
    (remedy,) = attributes_for(denied, small(rule), {}, {})
    assert remedy.meant is meant
