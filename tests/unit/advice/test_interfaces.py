"""Which interfaces grant what was denied, how much more they grant, and what else they fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.interfaces import SHOWN, interfaces_for
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import Level
from tests.unit.advice.conftest import BASE, CANDIDATE, granting, need

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


def test_an_interface_that_also_writes_comes_after_one_that_only_reads(expert: PolicyKnowledge) -> None:
    reads = granting("reads", allow("$1", "etc_t", "read", "open", "lock", "map"))
    writes = granting("a_writes", allow("$1", "etc_t", "read", "open", "write"))
    assert [(remedy.text, remedy.modifies) for remedy in offered(expert, writes, reads)] == [
        ("reads(app_t)", False),
        ("a_writes(app_t)", True),
    ]


@pytest.mark.parametrize("tclass", ["file", "dir"])
def test_an_interface_that_writes_what_other_denials_write_modifies_nothing_else(
    expert: PolicyKnowledge, tclass: str
) -> None:
    writes = granting(
        "writes",
        allow("$1", "etc_t", "read", "open"),
        allow("$1", "etc_t", "write", "append", tclass=tclass),
    )
    others = {("app_t", "etc_t", "dir"): frozenset({"write"})}
    assert [remedy.modifies for remedy in offered(expert, writes, others=others)] == [tclass == "file"]


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


def test_an_attribute_that_allows_something_else_is_given(expert: PolicyKnowledge) -> None:
    """Every `domain` may write to volume_t, but not to content_t or in a directory."""
    wide = granting("become", allow("$1", "etc_t", "read", "open"), attributes=(("$1", "domain"),))
    other_target = {("app_t", "content_t", "file"): frozenset({"write"})}
    other_class = {("app_t", "volume_t", "dir"): frozenset({"write"})}
    assert offered(expert, wide, expected=other_target | other_class)


def test_an_interface_that_allows_less_than_what_stays_denied_is_offered(expert: PolicyKnowledge) -> None:
    other_permission = {READ_ETC.key: frozenset({"write"})}
    exact = granting("read", allow("$1", "etc_t", "read", "open"))
    assert offered(expert, exact, expected=other_permission)


def test_what_two_rules_grant_together_is_covered(expert: PolicyKnowledge) -> None:
    parts = granting("parts", allow("$1", "etc_t", "read"), allow("$1", "etc_t", "open"))
    (remedy,) = offered(expert, parts)
    assert remedy.covers == {READ_ETC.key}


def test_what_is_allowed_already_is_no_excess(expert: PolicyKnowledge) -> None:
    """Every `domain` may write to volume_t."""
    more = granting("more", allow("$1", "etc_t", "read", "open"), allow("$1", "volume_t", "write"))
    (remedy,) = offered(expert, more)
    assert remedy.excess == 0


def test_the_excess_of_an_attribute_counts_each_type_of_its_rules(expert: PolicyKnowledge) -> None:
    """A member of `reader` may read and open each of the six types of file_type."""
    base = read_flat(f"{BASE}(typeattribute reader)\n(allow reader file_type (file (read open)))\n")
    policy = replace(expert, index=PolicyIndex(base, read_candidates([CANDIDATE], base)))
    joins = granting("joins", allow("$1", "etc_t", "read", "open"), attributes=(("$1", "reader"),))
    (remedy,) = offered(policy, joins)
    assert remedy.excess == 1 + 2 * 6


def test_a_rule_about_the_callers_own_type_binds_its_parameter(expert: PolicyKnowledge) -> None:
    access = need("app_t", "app_t", "file", "read")
    policy = replace(expert, table=InterfaceTable([granting("own", allow("$1", "self", "read"))]))
    assert [remedy.text for remedy in interfaces_for(access, policy, {})] == ["own(app_t)"]


@pytest.mark.parametrize(("file", "layer"), [("kernel/files.if", "kernel"), ("web.if", "")])
def test_its_layer_is_the_directory_of_its_file(expert: PolicyKnowledge, file: str, layer: str) -> None:
    interface = replace(granting("read", allow("$1", "etc_t", "read", "open")), file=file)
    assert [remedy.layer for remedy in offered(expert, interface)] == [layer]


def test_of_equal_interfaces_the_first_by_name_are_offered_in_any_order_of_the_table(
    expert: PolicyKnowledge,
) -> None:
    names = ["d", "b", "c", "a"]
    remedies = offered(expert, *(granting(name, allow("$1", "etc_t", "read", "open")) for name in names))
    assert [remedy.text for remedy in remedies] == ["a(app_t)", "b(app_t)", "c(app_t)"]


@pytest.mark.parametrize(
    ("grants", "excess"),
    [
        ([Grant("dontaudit", "$1", "etc_t", "file", frozenset({"write"}))], 0),
        ([allow("$1", "self", "sys_admin", tclass="capability")], 1),
        ([allow("web_t", "content_t", "read")], 0),
        ([allow("web_t", "content_t", "write"), allow("web_t", "home_t", "write")], 2),
        # Of file_type, etc_t is requested, shadow_t is excepted, and volume_t is allowed already.
        ([replace(allow("$1", "file_type", "read", "open"), target_except=frozenset({"shadow_t"}))], 6),
    ],
    ids=["no allow rule", "its own type", "allowed to another", "new to another", "all types but one"],
)
def test_its_excess_is_what_its_allow_rules_add(
    expert: PolicyKnowledge, grants: list[Grant], excess: int
) -> None:
    (remedy,) = offered(expert, granting("more", allow("$1", "etc_t", "read", "open"), *grants))
    assert remedy.excess == excess


def test_an_attribute_of_a_named_type_is_no_excess_if_the_type_has_it(expert: PolicyKnowledge) -> None:
    named = granting("named", allow("$1", "etc_t", "read", "open"), attributes=(("web_t", "domain"),))
    (remedy,) = offered(expert, named)
    assert remedy.excess == 0


def test_two_attributes_are_excess_together(expert: PolicyKnowledge) -> None:
    attributes = (("$1", "security_file_type"), ("$1", "port_type"))
    both = granting("both", allow("$1", "etc_t", "read", "open"), attributes=attributes)
    (remedy,) = offered(expert, both)
    assert remedy.excess == 2


def test_an_attribute_of_a_named_type_that_allows_what_stays_denied_is_not_given(
    expert: PolicyKnowledge,
) -> None:
    rule = allow("$1", "etc_t", "read", "open")
    named = granting("named", rule, attributes=(("app_t", "domain"),))
    assert offered(expert, named) and not offered(expert, named, expected=VOLUME)


def test_an_attribute_that_allows_it_on_the_own_type_is_not_given(expert: PolicyKnowledge) -> None:
    base = read_flat(f"{BASE}(typeattribute selfish)\n(allow selfish self (file (read)))\n")
    policy = replace(expert, index=PolicyIndex(base, read_candidates([CANDIDATE], base)))
    joins = granting("joins", allow("$1", "etc_t", "read", "open"), attributes=(("$1", "selfish"),))
    assert offered(policy, joins, expected={READ_ETC.key: frozenset({"read"})} | SHADOW) == []
    assert not offered(policy, joins, expected={("app_t", "app_t", "file"): frozenset({"read"})})
    assert offered(policy, joins, expected={("app_t", "app_t", "file"): frozenset({"write"})})


ENTRY = replace(
    granting("entry", allow("$1", "$2", "read", "open"), allow("$1", "$2", "getattr")), required=2
)


@pytest.mark.parametrize(
    ("attributes", "foreign"),
    [
        ((), False),
        ((("$2", "security_file_type"),), True),
        ((("$1", "security_file_type"),), False),
        ((("home_t", "security_file_type"),), False),
        ((("etc_t", "security_file_type"),), True),
    ],
    ids=["no attribute", "the target's", "the source's", "of a third type", "of the target by its name"],
)
def test_a_call_that_gives_an_attribute_to_a_type_of_another_module_is_foreign(
    expert: PolicyKnowledge, attributes: tuple[tuple[str, str], ...], foreign: bool
) -> None:
    (remedy,) = offered(expert, replace(ENTRY, attributes=attributes))
    assert remedy.foreign is foreign


def test_an_interface_that_does_not_help_hides_none_after_it(expert: PolicyKnowledge) -> None:
    useless = granting("a_useless", allow("$1", "etc_t", "write"))
    remedies = offered(expert, useless, granting("read", allow("$1", "etc_t", "read", "open")))
    assert [remedy.text for remedy in remedies] == ["read(app_t)"]


def test_what_it_excepts_is_not_covered(expert: PolicyKnowledge) -> None:
    rule = replace(allow("$1", "file_type", "read", "open"), target_except=frozenset({"shadow_t"}))
    (remedy,) = offered(expert, granting("read_all", rule), others=SHADOW)
    assert remedy.covers == {READ_ETC.key}


def test_its_summary_is_shown(expert: PolicyKnowledge) -> None:
    (remedy,) = offered(expert, granting("read", allow("$1", "etc_t", "read", "open")))
    assert remedy.why == "It is read."


LOGS = replace(
    granting("blockinherit logs", allow("$1", "etc_t", "read", "open"), kind="block"), parameters=("app_t",)
)


def test_a_macro_is_called_with_the_types_of_the_denial(expert: PolicyKnowledge) -> None:
    macro = replace(granting("call reads", allow("$1", "$2", "read", "open"), kind="macro"), required=2)
    (remedy,) = offered(expert, macro)
    assert (remedy.kind, remedy.text) == (Kind.MACRO, "(call reads (app_t etc_t))")


def test_a_block_is_inherited_without_arguments(expert: PolicyKnowledge) -> None:
    (remedy,) = offered(expert, LOGS)
    assert (remedy.kind, remedy.text, remedy.excess) == (Kind.BLOCK, "(blockinherit logs)", 0)
    assert remedy.why == "it brings nothing else"


def test_a_block_is_not_offered_to_another_domain(expert: PolicyKnowledge) -> None:
    assert offered(expert, replace(LOGS, parameters=("web_t",))) == []


def test_a_block_shows_what_else_it_grants_to_the_domain_first(expert: PolicyKnowledge) -> None:
    grants = (
        allow("content_t", "home_t", "read"),
        *LOGS.grants,
        allow("$1", "content_t", "read", "write"),
        allow("$1", "shadow_t", "read"),
    )
    (remedy,) = offered(expert, replace(LOGS, grants=grants))
    assert remedy.why == (
        "it brings app_t shadow_t:file read; app_t content_t:file { read write }; content_t home_t:file read"
    )
    assert (remedy.excess, remedy.risk.level) == (4, Level.HIGH)
