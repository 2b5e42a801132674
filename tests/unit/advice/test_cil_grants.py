"""What macros and blocks of CIL grant, and which of them selab does not evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.advice import cil_grants
from selab.advice.cil_grants import MAX_NESTED
from selab.advice.cil_offers import offers
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.module import PolicyModule
from selab.policy.query.index import PolicyIndex
from tests.unit.advice.conftest import BASE

RULES = """
(role container_r)
(typealias old_etc_t) (typealiasactual old_etc_t etc_t)
(typeattribute reader)
(allow reader home_t (file (read)))
(allow reader self (dir (search)))
(booleanif (may_read_homes) (true (allow reader shadow_t (file (read)))))
"""
DECLARED = "(type web.process)(type web.data)(type lib.data)(typeattributeset domain (web.process))"
WEB = "(block web (type process) (type data))\n"


@pytest.fixture(scope="module")
def index() -> PolicyIndex:
    base = read_flat(BASE + RULES)
    return PolicyIndex(base, read_candidates([DECLARED], base))


def granted(text: str, name: str, index: PolicyIndex) -> list[str] | None:
    """The rules of a macro or block, as text, or None if it is not offered."""
    module = PolicyModule("web", Path("/p"), {"cil": (WEB + text).encode()})
    interface = offers(module, [], index).get(name)
    if interface is None:
        return None
    return sorted(
        f"{each.source} {each.target}:{each.tclass} {' '.join(sorted(each.permissions))}"
        for each in interface.grants
    )


def macro(statements: str, index: PolicyIndex, more: str = "") -> list[str] | None:
    return granted(f"(macro m ((type d) (type t)) {statements})\n{more}", "call m", index)


def block(statements: str, index: PolicyIndex, more: str = "") -> list[str] | None:
    return granted(f"(block b (blockabstract b) {statements})\n{more}", "blockinherit b", index)


@pytest.mark.parametrize(
    ("statements", "rules"),
    [
        ("(allow d t (file (read open)))", ["$1 $2:file open read"]),
        ("(allow d self (dir (search)))", ["$1 self:dir search"]),
        ("(allow d etc_t (file (read)))", ["$1 etc_t:file read"]),
        ("(allow d old_etc_t (file (read)))", ["$1 etc_t:file read"]),
        ("(allow d .etc_t (file (read)))", ["$1 etc_t:file read"]),
        ("(allow d data (file (read)))", ["$1 web.data:file read"]),
        ("(allow d lib.data (file (read)))", ["$1 lib.data:file read"]),
        ("(allow d etc_t (file (all)))", ["$1 etc_t:file getattr open read write"]),
        ("(allow d etc_t (file (not (write open))))", ["$1 etc_t:file getattr read"]),
        ("(dontaudit d etc_t (file (read)))", []),
    ],
)
def test_a_rule_of_a_macro_is_read(statements: str, rules: list[str], index: PolicyIndex) -> None:
    assert macro(statements, index) == rules


@pytest.mark.parametrize(
    "statements",
    [
        "(allow d absent_t (file (read)))",
        "(allow d etc_t (absent (read)))",
        "(allow d etc_t (file (absent)))",
        "(allow d etc_t (file (not)))",
        "(allow d etc_t (file))",
        "(allow d etc_t named)",
        "(allow d etc_t)",
        "(type own_t) (allow d own_t (file (read)))",
        "(booleanif web_connects (true (allow d etc_t (file (read)))))",
        "(typetransition d etc_t file home_t)",
        "(typeattributeset reader (not (d)))",
        "(typeattributeset absent (d))",
        "(call absent (d))",
        "(call m (d t))",
        "(blockinherit b)",
        "(optional o (blockinherit b))",
    ],
)
def test_a_macro_with_something_that_is_not_evaluated_is_not_offered(
    statements: str, index: PolicyIndex
) -> None:
    assert macro(statements, index, "(block b (blockabstract b) (allow process etc_t (file (read))))") is None


def test_a_macro_with_a_parameter_that_is_no_type_is_not_offered(index: PolicyIndex) -> None:
    assert granted("(macro m ((type d) (class c)) (allow d etc_t (file (read))))", "call m", index) is None


def test_names_in_a_macro_are_those_of_its_blocks_and_then_those_of_the_candidate(index: PolicyIndex) -> None:
    text = "(block lib (macro m ((type d)) (allow d data (file (read)))))"
    assert granted(text, "call lib.m", index) == ["$1 lib.data:file read"]


def test_a_type_that_joins_an_attribute_gets_its_unconditional_rules(index: PolicyIndex) -> None:
    rules = ["$1 home_t:file read", "$1 self:dir search"]
    assert macro("(typeattributeset reader (d))", index) == rules
    assert macro("(typeattributeset reader d)", index) == rules


def test_a_call_grants_what_its_macro_grants_to_the_arguments(index: PolicyIndex) -> None:
    other = "(macro n ((type a) (type b)) (allow b a (file (read))) (allow a self (dir (search))))"
    assert macro("(call n (d etc_t))", index, other) == ["$1 self:dir search", "etc_t $1:file read"]


@pytest.mark.parametrize("arguments", ["(d)", "(d t t)", "(d self)", "(d (t))", "(d absent_t)", ""])
def test_a_call_with_other_arguments_is_not_evaluated(arguments: str, index: PolicyIndex) -> None:
    other = "(macro n ((type a) (type b)) (allow b a (file (read))))"
    assert macro(f"(call n {arguments})", index, other) is None


@pytest.mark.parametrize(("depth", "is_read"), [(MAX_NESTED, True), (MAX_NESTED + 1, False)])
def test_calls_are_followed_to_a_certain_depth(depth: int, is_read: bool, index: PolicyIndex) -> None:
    calls = "".join(f"(macro n{n} ((type a)) (call n{n + 1} (a)))" for n in range(1, depth))
    last = f"(macro n{depth} ((type a)) (allow a etc_t (file (read))))"
    assert (macro("(call n1 (d))", index, calls + last) is not None) is is_read


@pytest.mark.parametrize(
    ("statements", "rules"),
    [
        ("(optional o (allow d etc_t (file (read))))", ["$1 etc_t:file read"]),
        ("(optional o (allow d etc_t (file (read))) (allow d absent_t (file (read))))", []),
        ("(optional o (allow d etc_t (file (absent))))", []),
        ("(optional o (roletype absent_r d) (allow d etc_t (file (read))))", []),
        ("(optional o (roletype container_r d) (allow d etc_t (file (read))))", ["$1 etc_t:file read"]),
        ("(optional o (allow d etc_t (file (read))) (optional p (allow d absent_t (file (read)))))",
         ["$1 etc_t:file read"]),
        ("(optional o (allow d absent_t (file (read))) (optional p (allow d etc_t (file (read)))))", []),
    ],
)  # fmt: skip
def test_an_optional_counts_if_the_policy_has_every_name_in_it(
    statements: str, rules: list[str], index: PolicyIndex
) -> None:
    assert macro(statements, index) == rules


@pytest.mark.parametrize(
    ("statements", "rules"),
    [
        ("(allow process etc_t (file (read)))", ["$1 etc_t:file read"]),
        ("(type process) (allow process process (dir (search)))", ["$1 $1:dir search"]),
        ("(type socket) (allow process socket (file (read)))", ["$1 web.socket:file read"]),
        ("(allow domain process (dir (search)))", ["domain $1:dir search"]),
        ("(typeattributeset reader (process))", ["$1 home_t:file read", "$1 self:dir search"]),
        ("(macro own ((type d)) (allow d etc_t (file (read))))", []),
    ],
)
def test_a_rule_of_a_block_is_about_the_candidates_domain(
    statements: str, rules: list[str], index: PolicyIndex
) -> None:
    assert block(statements, index) == rules


def test_an_attribute_that_a_block_declares_stands_for_its_members(index: PolicyIndex) -> None:
    statements = """
        (typeattribute all_files) (typeattribute files)
        (typeattributeset all_files (files))
        (optional o (typeattributeset files (and (file_type) (not (security_file_type nfs_t)))))
        (optional p (typeattributeset files (absent_t)))
        (allow process all_files (file (read)))
    """
    expected = ["content_t", "etc_t", "home_t", "volume_t"]
    assert block(statements, index) == [f"$1 {name}:file read" for name in expected]


@pytest.mark.parametrize(
    "statements",
    [
        "(typeattribute files) (typeattributeset files (xor etc_t)) (allow process files (file (read)))",
        "(typeattributeset reader (and process domain))",
        "(block inner (allow process etc_t (file (read))))",
        "(allow process absent_t (file (read)))",
    ],
)
def test_a_block_with_something_that_is_not_evaluated_is_not_offered(
    statements: str, index: PolicyIndex
) -> None:
    assert block(statements, index) is None


def test_a_macro_is_called_from_the_block_that_declares_it(index: PolicyIndex) -> None:
    own = "(macro own ((type d)) (allow d etc_t (file (read)))) (call own (process))"
    assert block(own, index) == ["$1 etc_t:file read"]


def test_attributes_in_a_long_chain_are_not_evaluated(index: PolicyIndex) -> None:
    chain = "".join(f"(typeattribute a{n})(typeattributeset a{n} (a{n + 1}))" for n in range(MAX_NESTED + 1))
    assert (
        block(f"{chain}(typeattribute a{MAX_NESTED + 1})(typeattributeset a{MAX_NESTED + 1} (etc_t))", index)
        is None
    )


def test_only_so_much_is_read(index: PolicyIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "(allow d etc_t (file (read)))"
    monkeypatch.setattr(cil_grants, "MAX_READ", 4)
    assert macro(f"{rule} (allow d home_t (file (read)))", index) is not None
    assert macro(f"{rule} (allow d home_t (file (read))) {rule}", index) is None


def test_blocks_that_inherit_a_large_one_are_read_only_so_often(
    index: PolicyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = f"(block large {'(dontaudit process etc_t (file (read)))' * 100})"
    heirs = "".join(f"(block b{n} (blockabstract b{n}) (blockinherit large))" for n in range(9))
    monkeypatch.setattr(cil_grants, "MAX_READ", 1000)
    module = PolicyModule("web", Path("/p"), {"cil": (WEB + large + heirs).encode()})
    assert offers(module, [], index).names == ("blockinherit b0", "blockinherit b1")


@given(
    st.recursive(
        st.sampled_from(
            ["allow", "not", "and", "xor", "self", "d", "etc_t", "file", "read", "call", "m", "optional"]
        ),
        lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"({' '.join(parts)})"),
        max_leaves=12,
    )
)
def test_no_statement_makes_reading_fail(text: str) -> None:
    base = read_flat(BASE + RULES)
    index = PolicyIndex(base, read_candidates([DECLARED], base))
    wrapped = text if text.startswith("(") else f"({text})"
    macro(wrapped, index)
    block(wrapped, index)
