"""Which interfaces grant what was denied, how much more they grant, and what else they fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.interfaces import SHOWN, interfaces_for
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Remedy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.statements import Grant
from selab.policy.query.risk import Level
from tests.unit.advice.conftest import granting, need

READ_ETC = need("app_t", "etc_t", "file", "read", "open")
DIR_KEY = ("app_t", "etc_t", "dir")


def allow(source: str, target: str, *permissions: str, tclass: str = "file", condition: str = "") -> Grant:
    return Grant("allow", source, target, tclass, frozenset(permissions), condition)


def offered(
    expert: PolicyKnowledge,
    *interfaces: Interface,
    others: dict[tuple[str, str, str], frozenset[str]] | None = None,
    expected: dict[tuple[str, str, str], frozenset[str]] | None = None,
) -> list[Remedy]:
    """What is offered for READ_ETC by a policy that has only `interfaces`."""
    requested = {READ_ETC.key: READ_ETC.permissions} | (others or {})
    return interfaces_for(READ_ETC, replace(expert, table=InterfaceTable(interfaces)), requested, expected)


@pytest.mark.parametrize(
    "grants",
    [
        [allow("$1", "etc_t", "read")],
        [allow("$1", "etc_t", "read", "open", tclass="dir")],
        [allow("$1", "home_t", "read", "open")],
        [allow("$1", "self", "read", "open")],
        [allow("web_t", "etc_t", "read", "open")],
        [allow("$1", "$1", "read", "open")],
        [allow("$1", "etc_t", "read", "open", condition="web_connects")],
        [replace(allow("$1", "etc_t", "read", "open"), source_except=frozenset({"app_t"}))],
        [replace(allow("$1", "file_type", "read", "open"), target_except=frozenset({"etc_t"}))],
    ],
    ids=[
        "a permission lacks",
        "another class",
        "another target",
        "its own type",
        "another source",
        "one type twice",
        "a boolean",
        "the source is excepted",
        "the target is excepted",
    ],
)
def test_an_interface_that_does_not_grant_all_of_it_is_not_offered(
    expert: PolicyKnowledge, grants: list[Grant]
) -> None:
    assert offered(expert, granting("other", *grants)) == []


def test_two_rules_of_an_interface_grant_it_together(expert: PolicyKnowledge) -> None:
    parts = granting("parts", allow("$1", "etc_t", "read"), allow("$1", "etc_t", "open"))
    assert [remedy.text for remedy in offered(expert, parts)] == ["parts(app_t)"]


def test_the_parameters_are_bound_in_the_order_of_the_call(expert: PolicyKnowledge) -> None:
    swapped = replace(granting("swapped", allow("$2", "$1", "read", "open")), required=2)
    assert [remedy.text for remedy in offered(expert, swapped)] == ["swapped(etc_t, app_t)"]


def test_an_interface_with_a_parameter_that_nothing_binds_is_not_offered(expert: PolicyKnowledge) -> None:
    assert offered(expert, replace(granting("two", allow("$1", "etc_t", "read", "open")), required=2)) == []


def test_the_interfaces_that_grant_least_beyond_the_request_are_offered(expert: PolicyKnowledge) -> None:
    extra = ["write", "getattr"]
    exact = granting("exact", allow("$1", "etc_t", "read", "open"))
    wide = [granting(f"a_{name}", allow("$1", "etc_t", "read", "open", name)) for name in extra]
    widest = granting("a_widest", allow("$1", "etc_t", "read", "open", *extra))
    remedies = offered(expert, widest, *wide, exact)
    assert len(remedies) == SHOWN
    assert (remedies[0].text, remedies[0].excess) == ("exact(app_t)", 0)
    assert {remedy.excess for remedy in remedies[1:]} == {1}


def test_of_two_interfaces_with_no_excess_the_one_about_the_type_alone_is_first(
    expert: PolicyKnowledge,
) -> None:
    access = need("app_t", "nfs_t", "file", "read")
    broad = granting("a_broad", allow("$1", "noxattrfs", "read"))
    policy = replace(expert, table=InterfaceTable([broad, granting("narrow", allow("$1", "nfs_t", "read"))]))
    remedies = interfaces_for(access, policy, {access.key: access.permissions})
    assert [(remedy.text, remedy.excess) for remedy in remedies] == [
        ("narrow(app_t)", 0),
        ("a_broad(app_t)", 0),
    ]


def test_an_attribute_that_comes_with_it_is_excess(expert: PolicyKnowledge) -> None:
    rule = allow("$1", "etc_t", "read", "open")
    joins = granting("joins", rule, attributes=(("$1", "security_file_type"),))
    member = granting("member", rule, attributes=(("$1", "domain"),))
    assert {remedy.text: remedy.excess for remedy in offered(expert, joins, member)} == {
        "member(app_t)": 0,
        "joins(app_t)": 1,
    }


@pytest.mark.parametrize(
    ("requested", "covered"), [({"search"}, True), ({"search", "read"}, False), ({"read"}, False)]
)
def test_it_covers_another_denial_only_if_it_grants_all_of_that(
    expert: PolicyKnowledge, requested: set[str], covered: bool
) -> None:
    both = granting(
        "both", allow("$1", "etc_t", "read", "open"), allow("$1", "etc_t", "search", tclass="dir")
    )
    (remedy,) = offered(expert, both, others={DIR_KEY: frozenset(requested)})
    assert (DIR_KEY in remedy.covers) is covered


def test_it_does_not_cover_a_denial_of_another_domain(expert: PolicyKnowledge) -> None:
    key = ("web_t", "etc_t", "file")
    (remedy,) = offered(
        expert, granting("read", allow("$1", "etc_t", "read", "open")), others={key: frozenset({"read"})}
    )
    assert remedy.covers == {READ_ETC.key}


def test_its_risk_is_that_of_its_most_dangerous_rule(expert: PolicyKnowledge) -> None:
    rule = allow("$1", "etc_t", "read", "open")
    admin = granting("admin", rule, allow("$1", "self", "sys_admin", tclass="capability"))
    (remedy,) = offered(expert, admin)
    assert remedy.risk.level is Level.HIGH


SHADOW = {("app_t", "shadow_t", "file"): frozenset({"read"})}
VOLUME = {("app_t", "volume_t", "file"): frozenset({"write"})}


def test_an_interface_that_allows_what_stays_denied_is_not_offered(expert: PolicyKnowledge) -> None:
    wide = granting("read_all", allow("$1", "file_type", "read", "open"))
    assert offered(expert, wide) and not offered(expert, wide, expected=SHADOW)


def test_an_attribute_that_allows_what_stays_denied_is_not_given(expert: PolicyKnowledge) -> None:
    """Every `domain` may write to volume_t."""
    wide = granting("become", allow("$1", "etc_t", "read", "open"), attributes=(("$1", "domain"),))
    assert offered(expert, wide) and not offered(expert, wide, expected=VOLUME)
