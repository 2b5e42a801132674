"""The parts of CIL that can be removed one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.cil_source import parse
from selab.policy.language.cil_units import narrowed, units, without

TEXT = """\
(block web
    (blockinherit box)
    (type data)
    ; web.process etc_t:file read (httpd /etc/x)
    (allow process etc_t (file (read open))) ; behind it
    (allowx process etc_t (ioctl file (0x5401)))
    (call reads (process)) (call writes (process))
    (optional one
        (allow process maybe_t (file (read))))
    (booleanif shiny
        (true (allowx process etc_t (ioctl file (0x5402))))))
(in web
    (dontaudit process etc_t (file (write))))
"""


def test_rules_calls_and_optionals_are_parts_and_declarations_are_not() -> None:
    assert [" ".join(each.text.split()) for each in units(TEXT)] == [
        "(allow process etc_t (file (read open)))",
        "(call reads (process))",
        "(call writes (process))",
        "(optional one (allow process maybe_t (file (read))))",
        "(dontaudit process etc_t (file (write)))",
    ]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("(blockinherit container) (blockinherit net)", ["(blockinherit net)"]),
        ("(blockinherit net) (blockinherit .container)", ["(blockinherit net)"]),
        ("(blockinherit first) (blockinherit net)", ["(blockinherit net)"]),
        ("(blockinherit net) (type process)", ["(blockinherit net)"]),
        ("(blockinherit net) (type data)", []),
        ("(block inner (blockinherit one) (blockinherit two)) (blockinherit net)", ["(blockinherit two)"]),
    ],
)
def test_inherited_blocks_are_parts_but_for_one_that_declares_the_domain(
    content: str, parts: list[str]
) -> None:
    assert [each.text for each in units(f"(block web {content})")] == parts


def test_a_block_that_is_inherited_later_is_a_part() -> None:
    assert [each.text for each in units("(in web (blockinherit net))")] == ["(blockinherit net)"]


def test_a_part_is_removed_with_its_comments() -> None:
    (rule,) = (each for each in units(TEXT) if each.text.startswith("(allow process etc_t"))
    lines = TEXT.splitlines(keepends=True)
    assert without(TEXT, [rule]) == "".join(lines[:3] + lines[5:])


def test_without_nothing_the_text_is_as_it_was() -> None:
    assert without(TEXT, []) == TEXT


@given(st.sets(st.sampled_from(units(TEXT))))
def test_whatever_is_removed_the_rest_stays(gone: set[object]) -> None:
    text = without(TEXT, gone)  # type: ignore[arg-type]
    left = [each.text for each in units(TEXT) if each not in gone]
    assert [each.text for each in units(text)] == left
    assert len(parse(text)) == 2


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("(allow a b (file (read write)))", "(allow a b (file (read)))"),
        ("(allow a b (file (write)))", "(allow a b (file (write)))"),
        ("(allow a b (file (all)))", "(allow a b (file (all)))"),
        ("(allow a b (file (not (write))))", "(allow a b (file (not (write))))"),
        ("(allow a b (dir (read write)))", "(allow a b (dir (read write)))"),
        ("(allow a b named_set)", "(allow a b named_set)"),
        ("(dontaudit a b (file (read write)))", "(dontaudit a b (file (read write)))"),
    ],
)
def test_a_rule_keeps_the_permissions_that_its_class_needs(rule: str, left: str) -> None:
    assert narrowed(rule, {"file": {"read"}}) == left


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        ("(0x5401 0x5402)", "(0x5401)"),
        ("((range 0x5400 0x5403))", "(0x5401)"),
        ("(0x5402)", "(0x5402)"),
        ("(0x5401)", "(0x5401)"),
    ],
)
def test_an_extended_rule_keeps_the_commands_that_are_needed(listed: str, left: str) -> None:
    rule = "(allowx a b (ioctl file {}))"
    assert narrowed(rule.format(listed), {}, {"file": 1 << 0x5401}) == rule.format(left)
