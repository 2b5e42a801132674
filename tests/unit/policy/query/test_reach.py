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
(class process (transition execmem ptrace))
(class chr_file (ioctl))
(typeattribute domain)
(type etc_t)
(type tmp_t)
(type http_port_t)
(portcon tcp 80 (system_u object_r http_port_t ((s0) (s0))))
(portcon tcp 443 (system_u object_r http_port_t ((s0) (s0))))
(type init_t)
(boolean shiny false)
(typeattributeset domain (init_t))
(allow domain tmp_t (file (write)))
"""
CANDIDATE = """
(type app_t)
(typeattributeset domain (app_t))
(typeattribute app_typeattr_1)
(typeattributeset app_typeattr_1 (etc_t tmp_t))
(typeattribute app_typeattr_2)
(typeattributeset app_typeattr_2 (app_t))
(type app_file_t)
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


@pytest.mark.parametrize(
    ("rule", "target", "level"),
    [
        ("allow app_t self (process (execmem))", "self", Level.HIGH),
        ("allow app_t app_t (process (execmem))", "self", Level.HIGH),
        ("allow app_t init_t (process (execmem))", "init_t", Level.LOW),
        ("allow app_t self (process (ptrace))", "self", Level.LOW),
        ("allow app_t init_t (process (ptrace))", "init_t", Level.HIGH),
    ],
)
def test_an_access_is_rated_by_whether_it_is_to_itself(rule: str, target: str, level: Level) -> None:
    (addition,) = additions(index(f"(type app_t) ({rule})"))
    assert (addition.access.target, addition.risk.level) == (target, level)


@pytest.mark.parametrize(
    ("condition", "branch", "shown"),
    [
        ("(shiny)", "true", " if shiny (off)"),
        ("(shiny)", "false", " if not shiny"),
        ("(own)", "true", " if own"),
        ("(and (own) (shiny))", "true", " if own and shiny (off)"),
    ],
)
def test_a_conditional_access_names_its_condition_and_whether_booleans_switch_it_off(
    condition: str, branch: str, shown: str
) -> None:
    rule = f"(booleanif {condition} ({branch} (allow app_t etc_t (file (read)))))"
    accesses = granted(index(f"(boolean own true) (type app_t) {rule}"))
    assert [str(access) for access in accesses] == [f"app_t etc_t:file read{shown}"]


@pytest.mark.parametrize(
    ("deny", "accesses"),
    [
        ("", {"app_t etc_t:file { read write }", "domain etc_t:file execute"}),
        ("(deny domain etc_t (file (write)))", {"app_t etc_t:file read", "domain etc_t:file execute"}),
        (
            "(deny app_t etc_t (file (execute)))",
            {"app_t etc_t:file { read write }", "domain etc_t:file execute"},
        ),
        ("(deny domain etc_t (file (all)))", set()),
    ],
)
def test_an_access_that_deny_rules_take_away_from_every_type_is_not_granted(
    deny: str, accesses: set[str]
) -> None:
    rules = "(allow app_t etc_t (file (read write))) (allow domain etc_t (file (execute)))"
    candidate = f"(type app_t) (typeattributeset domain (app_t)) {rules}"
    listed = additions(index(candidate, deny))
    assert {str(addition.access) for addition in listed} == accesses


def test_a_domain_does_not_reach_what_deny_rules_take_away() -> None:
    rules = "(allow app_t etc_t (file (write))) (allow app_t init_t (file (write)))"
    denied = "(deny domain tmp_t (file (write append))) (deny app_t etc_t (file (write)))"
    (reach,) = reaches(index(f"(type app_t) (typeattributeset domain (app_t)) {rules}", denied))
    assert (reach.own["writes to"], reach.inherited["writes to"]) == (("init_t",), 0)


def test_a_permissive_domain_is_dangerous() -> None:
    (addition,) = additions(index("(type app_t) (typepermissive app_t)"))
    assert addition.access == Access("app_t", "self", "process", ("permissive",))
    assert addition.risk.level is Level.HIGH and "permissive" in addition.risk.reason


def test_ports_are_told_with_their_numbers() -> None:
    assert reaches(index())[0].own["listens on"] == ("http_port_t (tcp 80, tcp 443)",)


def test_what_an_attribute_gives_is_counted_apart() -> None:
    (reach,) = reaches(index(f"{CANDIDATE}(allow app_t etc_t (file (write)))"))
    assert (reach.inherited["writes to"], reach.own["writes to"]) == (1, ("etc_t",))


OFF = "(booleanif (shiny) (true {}) (false {}))"


def test_what_attributes_give_under_booleans_that_are_off_is_counted_apart() -> None:
    """init_t can be reached either way, and etc_t only if the boolean is on."""
    rules = (f"(allow domain {name} (file (write)))" for name in ("file_like", "init_t"))
    declared = "(typeattribute file_like) (typeattributeset file_like (etc_t init_t))"
    (reach,) = reaches(index(CANDIDATE, declared + OFF.format(*rules)))
    assert (reach.inherited["writes to"], reach.switched_off["writes to"]) == (2, 1)


def test_what_its_own_rules_reach_under_booleans_that_are_off_says_so() -> None:
    rules = (f"(allow app_t {name} (file (write)))" for name in ("etc_t", "init_t"))
    (reach,) = reaches(index(CANDIDATE + OFF.format(*rules) + "(allow app_t tmp_t (file (write)))"))
    assert reach.own["writes to"] == ("init_t", "tmp_t", "etc_t if shiny (off)")


def test_only_the_candidates_domains_are_listed_with_their_attributes() -> None:
    """Generated attributes are of the compiler; files and foreign domains do not belong to the candidates."""
    assert [(reach.domain, reach.attributes) for reach in reaches(index())] == [("app_t", ("domain",))]


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


def test_an_ioctl_on_itself_is_limited_by_rules_about_itself() -> None:
    rules = "(allow app_t self (file (ioctl))) (allowx app_t self (ioctl file (0x2)))"
    assert ioctls(rules) == ["app_t self:file ioctl 0x2"]


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
        (
            "(allowx domain tmp_t (ioctl chr_file (0x1)))",
            "allow domain tmp_t (chr_file (ioctl))) (allowx app_t tmp_t (ioctl chr_file (0x2))",
            ["app_t tmp_t:chr_file ioctl { 0x1-0x2 }", "domain tmp_t:chr_file ioctl 0x1"],
        ),
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
        ("", "dontauditx app_t tmp_t (ioctl file (0x2))", {}),
        ("", "allow app_t etc_t (file (ioctl))) (allowx app_t etc_t (ioctl file (0x2))", {}),
        (
            "(allow domain self (file (ioctl)))",
            "dontauditx app_t self (ioctl file (0x2))",
            {"app_t self:file ioctl": ""},
        ),
        (
            IN_BASE,
            "dontauditx app_t tmp_t (ioctl file (0x2))) (dontauditx app_t etc_t (ioctl file (0x2))",
            {"app_t tmp_t:file ioctl": ""},
        ),
        (
            IN_BASE,
            "booleanif (shiny) (true (dontauditx app_t tmp_t (ioctl file (0x2))))",
            {"app_t tmp_t:file ioctl if shiny (off)": ""},
        ),
    ],
)
def test_an_extended_rule_limits_an_ioctl_that_the_base_allows(
    base_rules: str, rule: str, expected: dict[str, str]
) -> None:
    """As the kernel decides since Linux 5.10: a rule that only audits leaves the listed commands only."""
    accesses = limited(index(f"{CANDIDATE}({rule})", base_rules))
    assert {str(access): access.commands for access in accesses} == expected
