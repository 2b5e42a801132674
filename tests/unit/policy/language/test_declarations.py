"""What a flat base and candidates declare and grant."""

from __future__ import annotations

import pytest

from selab.policy.language.cil import Rule
from selab.policy.language.declarations import Declarations, read_candidates, read_flat

CLASSES = """\
(common file (read write))
(classcommon file file)
(class file (open))
(class dir (search))
"""


def rules(text: str) -> list[Rule]:
    return read_flat(CLASSES + text).rules


def candidate(text: str, base: str = "(type base_t)", *others: str) -> Declarations:
    """The declarations of the candidate `text`, which is linked with `base` and `others`."""
    return read_candidates([text, *others], read_flat(CLASSES + base))[0]


def needing(name: str, inside: str = "") -> str:
    """An optional block that requires `name`, and declares inside_t."""
    return f"(optional o_{name} (typeattributeset cil_gen_require ({name})) (type inside_t) {inside})"


def test_the_permissions_of_a_class_include_those_of_its_common() -> None:
    assert read_flat(CLASSES).classes == {
        "file": frozenset({"open", "read", "write"}),
        "dir": frozenset({"search"}),
    }


@pytest.mark.parametrize(
    ("written", "permissions"),
    [
        ("(read open)", {"read", "open"}),
        ("(all)", {"read", "write", "open"}),
        ("(not (read))", {"write", "open"}),
        ("(and (read write) (not (write)))", {"read"}),
    ],
)
@pytest.mark.parametrize("form", ["(allow a_t b_t (file {}))", "(allow a_t b_t\n  (file {}))"])
def test_a_rule_has_the_permissions_that_its_expression_names(
    form: str, written: str, permissions: set[str]
) -> None:
    assert rules(form.format(written)) == [Rule("allow", "a_t", "b_t", "file", frozenset(permissions))]


def test_a_rule_in_a_boolean_block_carries_the_condition_of_its_branch() -> None:
    text = """
    (booleanif (and (x) (y))
        (true (allow a_t b_t (file (read))))
        (false (dontaudit a_t b_t (file (read)))))
    """
    assert [(rule.kind, rule.condition) for rule in rules(text)] == [
        ("allow", "x and y"),
        ("dontaudit", "not (x and y)"),
    ]


def test_an_extended_rule_keeps_its_numbers_and_grants_nothing_else() -> None:
    assert rules("(allowx a_t b_t (ioctl file (range 0x1 0x5)))") == [
        Rule("allowx", "a_t", "b_t", "file", frozenset({"(range 0x1 0x5)"}))
    ]


@pytest.mark.parametrize(
    "text", ["(typealias o_t) (typealiasactual o_t a_t)", "(typealiasactual o_t a_t) (typealias o_t)"]
)
def test_an_alias_stands_for_its_type_in_either_order_of_the_statements(text: str) -> None:
    assert read_flat(text).aliases == {"o_t": "a_t"}


def test_ports_are_listed_with_their_protocol_and_range() -> None:
    context = "(u r a_t ((s0) (s0)))"
    text = f"(portcon tcp 80 {context}) (portcon udp (1024 65535) {context})"
    assert read_flat(text).ports == {"a_t": ["tcp 80", "udp 1024-65535"]}


@pytest.mark.parametrize(("value", "default"), [("true", True), ("false", False)])
def test_a_boolean_has_its_default(value: str, default: bool) -> None:
    assert read_flat(f"(boolean b {value})").booleans == {"b": default}


def test_the_attribute_that_lists_requirements_is_no_attribute_of_the_policy() -> None:
    flat = read_flat("(typeattribute cil_gen_require) (typeattributeset cil_gen_require (a_t))")
    assert (flat.attributes, flat.memberships) == (set(), {})


@pytest.mark.parametrize(
    ("required", "declared"), [("base_t", True), ("own_t", True), ("other_t", True), ("absent_t", False)]
)
def test_an_optional_block_counts_if_a_linked_module_declares_what_it_requires(
    required: str, declared: bool
) -> None:
    module = candidate(f"(type own_t) {needing(required)}", "(type base_t)", "(type other_t)")
    assert ("inside_t" in module.types) is declared


def test_what_an_optional_block_of_another_module_declares_is_not_relied_on() -> None:
    assert candidate(needing("inside_t"), "", needing("absent_t")).types == set()


def test_a_nested_block_is_judged_by_itself() -> None:
    inner = "(optional in (typeattributeset cil_gen_require (absent_t)) (type deep_t))"
    assert candidate(needing("base_t", inner)).types == {"inside_t"}


def test_a_nested_block_may_require_what_the_block_around_it_declares() -> None:
    inner = "(optional in (typeattributeset cil_gen_require (inside_t)) (type deep_t))"
    assert candidate(needing("base_t", inner)).types == {"inside_t", "deep_t"}


@pytest.mark.parametrize(("permission", "in_force"), [("read", True), ("watch", False)])
def test_a_block_with_a_permission_that_the_class_lacks_does_not_count(
    permission: str, in_force: bool
) -> None:
    module = candidate(needing("base_t", f"(allow inside_t base_t (file ({permission})))"))
    assert bool(module.rules) is in_force


def test_every_optional_block_of_a_flat_base_counts() -> None:
    assert read_flat(needing("absent_t")).types == {"inside_t"}
