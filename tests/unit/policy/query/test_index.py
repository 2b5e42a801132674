"""Questions to a policy's CIL: attributes, rules, conditions, optional blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import SelabError
from selab.policy.language.cil import Node, Rule, statements, text_of
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.query.index import PolicyIndex

BASE = """
(class file (read write open))
(common socket (bind))
(class tcp_socket (listen))
(classcommon tcp_socket socket)
(typeattribute all)
(typeattribute some)
(typeattribute none)
(typeattribute outer)
(typeattribute not_old)
(typeattribute loop)
(type a_t)
(type b_t)
(type c_t)
(typealias old_t)
(typealiasactual old_t a_t)
(boolean shiny false)
(boolean dull true)
(typeattributeset all (a_t b_t c_t))
(typeattributeset some (and (all) (not (b_t))))
(typeattributeset none (xor (all) (all)))
(typeattributeset outer (some old_t))
(typeattributeset not_old (not (old_t)))
(typeattributeset loop (loop c_t))
(allow some b_t (file (read)))
(allow all self (file (write)))
(allow c_t b_t (tcp_socket (all)))
(allowx a_t b_t (ioctl file (0x1)))
(portcon tcp 80 (system_u object_r b_t ((s0) (s0))))
(booleanif (and (shiny) (not (dull)))
    (true
        (allow a_t b_t (file (open)))))
"""


def index(*candidates: str) -> PolicyIndex:
    base = read_flat(BASE)
    return PolicyIndex(base, read_candidates(candidates, base))


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("some", {"a_t", "c_t"}),
        ("none", set()),
        ("outer", {"a_t", "c_t"}),
        ("not_old", {"b_t", "c_t"}),
        ("a_t", {"a_t"}),
        ("old_t", {"a_t"}),
        ("*", {"a_t", "b_t", "c_t"}),
        ("x", set()),
    ],
)
def test_who_is_in_an_attribute(name: str, members: set[str]) -> None:
    assert index().members(name) == members


def test_the_attributes_of_a_type() -> None:
    assert index().attributes_of("b_t") == {"all", "not_old"}
    assert index().attributes_of("old_t") == {"all", "some", "outer"}


def test_an_attribute_that_is_defined_by_itself_has_its_other_members() -> None:
    """The linker refuses it, but until then nothing may run for ever."""
    assert index().members("loop") == {"c_t"}


@pytest.mark.parametrize(
    ("written", "name", "stands"),
    [
        ("*", "a_t", True),
        ("some", "a_t", True),
        ("some", "old_t", True),
        ("old_t", "a_t", True),
        ("some", "b_t", False),
        ("b_t", "a_t", False),
    ],
)
def test_a_name_in_a_rule_stands_for_a_type(written: str, name: str, stands: bool) -> None:
    assert index().stands_for(written, name) is stands


@pytest.mark.parametrize(
    ("source", "target", "tclass", "granted"),
    [
        ("a_t", "b_t", "file", {"read"}),
        ("old_t", "b_t", "file", {"read"}),
        ("b_t", "b_t", "file", {"write"}),
        ("b_t", "a_t", "file", set()),
        ("c_t", "b_t", "tcp_socket", {"bind", "listen"}),
        ("a_t", "b_t", "tcp_socket", set()),
    ],
)
def test_what_rules_grant(source: str, target: str, tclass: str, granted: set[str]) -> None:
    assert index().permissions(source, target, tclass) == granted


def test_what_hangs_on_a_boolean_is_told_apart() -> None:
    assert index().conditional("a_t", "b_t", "file") == {"open": ("shiny and not dull",)}


@pytest.mark.parametrize(
    ("source", "target", "applies"), [("a_t", "b_t", True), ("b_t", "b_t", False), ("a_t", "c_t", False)]
)
def test_a_rule_applies_only_if_both_types_match(source: str, target: str, applies: bool) -> None:
    rule = Rule("allow", "some", "b_t", "file", frozenset({"read"}))
    assert index().covers(rule, source, target) is applies


@pytest.mark.parametrize(
    ("source", "target", "tclass", "commands"),
    [
        ("old_t", "b_t", "file", 0b10),
        ("c_t", "b_t", "file", None),
        ("a_t", "c_t", "file", None),
        ("a_t", "b_t", "tcp_socket", None),
    ],
)
def test_an_extended_rule_limits_its_types_and_class_only(
    source: str, target: str, tclass: str, commands: int | None
) -> None:
    assert index().commands(source, target, tclass) == commands


def test_a_candidate_joins_the_bases_attributes() -> None:
    assert index("(type new_t) (typeattributeset all (new_t))").permissions("new_t", "b_t", "file") == {
        "read"
    }


@pytest.mark.parametrize(("needed", "granted"), [("a_t", {"open"}), ("missing_t", set())])
def test_an_optional_block_counts_where_all_that_it_needs_is_there(needed: str, granted: set[str]) -> None:
    block = f"(optional o (typeattributeset cil_gen_require ({needed})) (allow new_t c_t (file (open))))"
    assert index(f"(type new_t) {block}").permissions("new_t", "c_t", "file") == granted


def test_the_ports_of_a_type() -> None:
    assert index().ports("b_t") == ("tcp 80",)


@pytest.mark.parametrize("text", ["(a", "a)", ")("])
def test_parentheses_that_do_not_match_are_an_error(text: str) -> None:
    with pytest.raises(SelabError, match="cannot be read"):
        statements(text)


words = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='();"'), min_size=1)
nodes: st.SearchStrategy[Node] = st.recursive(words, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@given(st.lists(st.lists(nodes, max_size=4), max_size=4))
def test_what_is_written_is_read_back(nodes: list[Node]) -> None:
    assert statements(" ".join(map(text_of, nodes))) == nodes


@pytest.mark.parametrize(
    ("expression", "members"),
    [
        ("a_t b_t", {"a_t", "b_t"}),
        ("and both b_t", {"b_t"}),
        ("or a_t c_t", {"a_t", "c_t"}),
        ("xor both b_t", {"a_t"}),
        ("not a_t", {"b_t", "c_t"}),
        ("all", {"a_t", "b_t", "c_t"}),
    ],
)
def test_an_expression_of_names_is_evaluated(expression: str, members: set[str]) -> None:
    declared = "(type a_t) (type b_t) (type c_t) (typeattribute both) (typeattributeset both (a_t b_t))"
    text = f"{declared} (typeattribute x) (typeattributeset x ({expression}))\n"
    assert PolicyIndex(read_flat(text)).members("x") == members


DENIED = "(deny {} {} (file ({})))"


@pytest.mark.parametrize(
    ("deny", "source", "target", "left"),
    [
        (("some", "b_t", "read"), "a_t", "b_t", set()),
        (("a_t", "all", "all"), "a_t", "b_t", set()),
        (("old_t", "b_t", "read"), "a_t", "b_t", set()),
        (("a_t", "b_t", "open"), "a_t", "b_t", {"read"}),
        (("b_t", "b_t", "read"), "a_t", "b_t", {"read"}),
        (("a_t", "self", "read write"), "a_t", "b_t", {"read"}),
        (("all", "self", "write"), "a_t", "a_t", set()),
        (("all", "all", "write"), "a_t", "a_t", set()),
    ],
)
def test_what_a_deny_rule_takes_away_is_not_granted(
    deny: tuple[str, ...], source: str, target: str, left: set[str]
) -> None:
    """The rule is a candidate's, which takes away what the base policy grants, too."""
    assert index(DENIED.format(*deny)).permissions(source, target, "file") == left


def test_what_a_deny_rule_takes_away_is_granted_under_no_boolean() -> None:
    assert index().conditional("a_t", "b_t", "file").keys() == {"open"}
    assert index(DENIED.format("some", "b_t", "open")).conditional("a_t", "b_t", "file") == {}
