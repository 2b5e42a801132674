"""All checks of a policy in CIL together."""

from __future__ import annotations

from .conftest import Lint


def test_a_policy_in_udicas_style_has_no_finding(linted: Lint) -> None:
    text = """(block web
    (blockinherit box)
    (allow process process (file (read)))
    (allow process http_port_t (tcp_socket (name_bind))))
"""
    template = "(block box (blockabstract box) (type process) (typeattributeset domain (process)))"
    plain = "(type web.process)\n(typeattributeset domain (web.process))\n(roletype system_r web.process)\n"
    assert linted(text, template=template, plain=plain) == []


def test_the_findings_are_in_the_order_of_the_text(linted: Lint) -> None:
    text = "(type lonely)\n(allow etc_t absent_t (file (read)))\n(block empty)\n(type alone)"
    assert [each.line for each in linted(text)] == [1, 2, 3, 4]


def test_findings_about_the_policy_come_before_those_about_its_templates(linted: Lint) -> None:
    template = "(block box (type process) (allow process absent_t (file (read))))"
    text = "(block web (blockinherit box)\n(allow process gone_t (file (read))))"
    assert [each.file.name for each in linted(text, template=template)] == ["web.cil", "box.cil"]
