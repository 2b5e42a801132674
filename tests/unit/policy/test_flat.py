"""Flattening: what is dropped, what is kept, and that it means the same."""

from __future__ import annotations

from selab.policy.flat import dangling_names, flatten, without_repeated_roles


def lines(text: str) -> set[str]:
    return set(flatten(text).splitlines())


def test_an_optional_is_unwrapped() -> None:
    text = "(optional a\n    (typeattributeset cil_gen_require (x))\n    (allow x y (file (read)))\n)\n"
    assert lines(text) == {"(allow x y (file (read)))"}


def test_nested_optionals_are_unwrapped_and_empty_ones_dropped() -> None:
    text = (
        "(optional a\n    (optional b)\n    (optional c\n        (allow x y (file (read)))\n    )\n"
        "    (allow x z (dir (search)))\n)\n"
    )
    assert lines(text) == {"(allow x y (file (read)))", "(allow x z (dir (search)))"}


def test_rules_are_merged_by_source_target_and_class() -> None:
    text = "(allow x y (file (read)))\n(allow x y (file (write read)))\n(dontaudit x y (file (read)))\n"
    assert lines(text) == {"(allow x y (file (read write)))", "(dontaudit x y (file (read)))"}


def test_a_rule_with_an_expression_is_left_as_it_is() -> None:
    text = "(allow x y (file (not (read))))\n(allow x y (file (all)))\n(allow x y (file (read)))\n"
    assert lines(text) == set(text.splitlines())


def test_members_of_an_attribute_are_merged_but_expressions_are_not() -> None:
    text = "(typeattributeset d (x ))\n(typeattributeset d (y z))\n(typeattributeset d (and (x) (not (y))))\n"
    assert lines(text) == {"(typeattributeset d (x y z))", "(typeattributeset d (and (x) (not (y))))"}


def test_a_conditional_is_kept_whole() -> None:
    text = (
        "(booleanif (b)\n    (true\n        (allow x y (file (read)))\n    )\n)\n(allow x y (file (write)))\n"
    )
    assert lines(text) == {"(booleanif (b) (true (allow x y (file (read))) ) )", "(allow x y (file (write)))"}


def test_a_conditional_within_an_optional_does_not_end_the_optional() -> None:
    conditional = (
        "    (booleanif (b)\n        (true\n            (allow x y (file (read)))\n        )\n    )\n"
    )
    text = f"(optional o\n{conditional}    (allow p q (dir (search)))\n)\n(type t)\n"
    assert lines(text) == {
        "(booleanif (b) (true (allow x y (file (read))) ) )",
        "(allow p q (dir (search)))",
        "(type t)",
    }


def test_a_bracket_in_a_string_is_no_bracket() -> None:
    text = '(filecon "/a\\(b" file (u r t ((s0) (s0))))\n(type t)\n'
    assert lines(text) == set(text.splitlines())


def test_comments_go() -> None:
    assert lines(";;* lms 1 x.cil\n(type t)\n;;* lme\n") == {"(type t)"}


def test_a_role_is_declared_once() -> None:
    modules = dict(without_repeated_roles([("a", "(role r)\n(type x)\n"), ("b", "(role r)\n(type y)\n")]))
    assert modules == {"a": "(role r)\n(type x)\n", "b": "(type y)\n"}


def test_what_optionals_require_and_no_module_declares_is_dangling() -> None:
    modules = [
        "(optional o\n    (typeattributeset cil_gen_require foo_t)\n)\n",
        "(type bar_t)\n(roleattributeset cil_gen_require (bar_t))\n",
    ]
    assert dangling_names(modules) == {"foo_t"}


def test_the_content_of_blocks_stays_with_qualified_names() -> None:
    resolved = (
        "(block web\n    (type web.process)\n    (allow web.process etc_t (file (read)))\n)\n(type etc_t)\n"
    )
    assert flatten(resolved).splitlines() == [
        "(type web.process)",
        "(type etc_t)",
        "(allow web.process etc_t (file (read)))",
    ]
