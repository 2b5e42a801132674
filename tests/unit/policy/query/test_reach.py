"""What a candidate adds, and what its domains can reach."""

from __future__ import annotations

import pytest

from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.query.index import PolicyIndex
from selab.policy.query.reach import Access, additions, granted, limited, reaches
from selab.policy.query.risk import Level

BASE = """
(class file (read write execute ioctl))
(class capability (sys_admin setuid))
(class tcp_socket (name_bind))
(class process (transition))
(typeattribute domain)
(type etc_t)
(type tmp_t)
(type http_port_t)
(portcon tcp 80 (system_u object_r http_port_t ((s0) (s0))))
(allow domain tmp_t (file (write)))
"""
CANDIDATE = """
(type app_t)
(typeattributeset domain (app_t))
(typeattribute app_typeattr_1)
(typeattributeset app_typeattr_1 (etc_t tmp_t))
(allow app_t app_typeattr_1 (file (read)))
(allow app_t etc_t (file (execute)))
(allow app_t self (capability (sys_admin)))
(allow app_t http_port_t (tcp_socket (name_bind)))
"""


def index(candidate: str = CANDIDATE, base_rules: str = "") -> PolicyIndex:
    base = read_flat(BASE + base_rules)
    return PolicyIndex(base, read_candidates([candidate], base))


def test_the_most_dangerous_comes_first() -> None:
    first = additions(index())[0]
    assert (first.access, first.risk.level) == (
        Access("app_t", "self", "capability", ("sys_admin",)),
        Level.HIGH,
    )


def test_rules_about_the_same_are_one_and_generated_sets_are_told_by_their_types() -> None:
    accesses = [addition.access for addition in additions(index())]
    assert (
        Access("app_t", "etc_t", "file", ("execute", "read")) in accesses
        and Access("app_t", "tmp_t", "file", ("read",)) in accesses
    )


def test_against_another_version_only_what_is_new_counts() -> None:
    newer = index(CANDIDATE + "(allow app_t self (capability (setuid)))")
    assert [addition.access for addition in additions(newer, granted(index()))] == [
        Access("app_t", "self", "capability", ("setuid",))
    ]


def test_a_permissive_domain_is_dangerous() -> None:
    assert additions(index("(type app_t) (typepermissive app_t)"))[0].risk.level is Level.HIGH


def test_ports_are_told_with_their_numbers() -> None:
    assert reaches(index())[0].own["listens on"] == ("http_port_t (tcp 80)",)


def test_what_an_attribute_gives_is_counted_apart() -> None:
    (reach,) = reaches(index())
    assert (reach.inherited["writes to"], "writes to" in reach.own) == (1, False)


def test_a_rule_between_the_types_of_one_attribute_is_not_about_self() -> None:
    accesses = granted(index("(typeattribute own) (type app_t) (allow own own (file (read)))"))
    assert [str(access) for access in accesses] == ["own own:file read"]


IOCTL = "(allow app_t etc_t (file (read ioctl)))"


def ioctls(rules: str, base_rules: str = "") -> list[str]:
    accesses = [addition.access for addition in additions(index(f"{CANDIDATE}{rules}", base_rules))]
    return [str(access) for access in accesses if "ioctl" in access.permissions]


def test_an_ioctl_is_shown_with_the_commands_that_limit_it() -> None:
    assert ioctls(f"{IOCTL} (allowx app_t app_typeattr_1 (ioctl file (0x2 (range 0x5 0x7))))") == [
        "app_t etc_t:file ioctl { 0x2 0x5-0x7 }"
    ]


def test_without_an_extended_rule_an_ioctl_is_a_permission_like_others() -> None:
    assert ioctls(IOCTL) == ["app_t etc_t:file { execute ioctl read }"]


def test_an_ioctl_that_no_rule_lists_a_command_for_is_not_granted() -> None:
    """A rule of any kind limits the commands to those that allowxperm rules list."""
    assert ioctls(f"{IOCTL} (dontauditx app_t etc_t (ioctl file (0x2)))") == []


def test_a_limit_that_another_version_has_not_is_an_addition() -> None:
    newer = index(f"{CANDIDATE}{IOCTL} (allowx app_t etc_t (ioctl file (0x2)))")
    older = index(f"{CANDIDATE}{IOCTL}")
    assert [str(addition.access) for addition in additions(newer, granted(older))] == [
        "app_t etc_t:file ioctl 0x2"
    ]
    assert [str(access) for access in granted(older) - granted(newer)] == ["app_t etc_t:file ioctl"]


IN_BASE = "(allow domain domain (file (ioctl))) (allow domain tmp_t (file (ioctl)))"
LIMITED_IN_BASE = f"{IN_BASE} (allowx domain tmp_t (ioctl file (0x1)))"


@pytest.mark.parametrize(
    ("base_rules", "rule", "expected"),
    [
        (IN_BASE, "allowx app_t tmp_t (ioctl file (0x2))", []),
        (IN_BASE, "allowx app_t http_port_t (ioctl file (0x2))", []),
        (LIMITED_IN_BASE, "allowx app_t tmp_t (ioctl file (0x1))", []),
        (LIMITED_IN_BASE, "allowx app_t tmp_t (ioctl file (0x2))", ["app_t tmp_t:file ioctl { 0x1-0x2 }"]),
        (LIMITED_IN_BASE, "auditallowx app_t tmp_t (ioctl file (0x2))", []),
    ],
)
def test_an_allowxperm_rule_adds_a_command_only_to_an_ioctl_that_the_base_limits(
    base_rules: str, rule: str, expected: list[str]
) -> None:
    assert ioctls(f"({rule})", base_rules) == expected


@pytest.mark.parametrize(
    ("base_rules", "rule", "expected"),
    [
        (IN_BASE, "dontauditx app_t tmp_t (ioctl file (0x2))", {"app_t tmp_t:file ioctl": ""}),
        (IN_BASE, "auditallowx app_t tmp_t (ioctl file (0x2))", {"app_t tmp_t:file ioctl": ""}),
        (IN_BASE, "allowx app_t tmp_t (ioctl file (0x2))", {"app_t tmp_t:file ioctl 0x2": "0x2"}),
        (IN_BASE, "dontauditx app_t self (ioctl file (0x2))", {"app_t self:file ioctl": ""}),
        (IN_BASE, "dontauditx domain domain (ioctl file (0x2))", {"domain domain:file ioctl": ""}),
        (IN_BASE, "neverallowx app_t tmp_t (ioctl file (0x2))", {}),
        (IN_BASE, "allowx app_t tmp_t (ioctl file ((range 0x0 0xffff)))", {}),
        (IN_BASE, "dontauditx app_t etc_t (ioctl file (0x2))", {}),
        (LIMITED_IN_BASE, "dontauditx app_t tmp_t (ioctl file (0x2))", {}),
    ],
)
def test_an_extended_rule_limits_an_ioctl_that_the_base_allows(
    base_rules: str, rule: str, expected: dict[str, str]
) -> None:
    """As the kernel decides since Linux 5.10: a rule that only audits leaves the listed commands only."""
    accesses = limited(index(f"{CANDIDATE}({rule})", base_rules))
    assert {str(access): access.commands for access in accesses} == expected
