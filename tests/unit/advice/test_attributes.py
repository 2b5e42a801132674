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
