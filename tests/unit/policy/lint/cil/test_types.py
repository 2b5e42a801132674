"""Types in CIL that no general rule and no role is about."""

from __future__ import annotations

from .conftest import Lint, outline

TEXT = (
    "(block box (type x))\n(block web\n"
    "(blockinherit box)\n(type process)\n(allow process self (file (read))))"
)


def test_a_type_without_an_attribute_is_reported_where_it_is_declared(linted: Lint) -> None:
    plain = "(type web.x)\n(typeattributeset domain (web.x))\n(roletype system_r web.x)\n(type web.process)\n"
    findings = [each for each in linted(TEXT, plain=plain) if each.id == "no-attribute"]
    assert outline(findings) == [("warning", "no-attribute", 4)]
    assert findings[0].remedy == "Add it to one: `(typeattributeset file_type (web.process))`."


def test_an_inherited_type_is_reported_where_its_block_begins(linted: Lint) -> None:
    findings = linted(TEXT, plain="(type web.x)\n")
    assert ("warning", "no-attribute", 2) in outline(findings)


def test_a_domain_without_a_role_is_a_warning(linted: Lint) -> None:
    plain = "(type web.process)\n(typeattributeset domain (and (web.process) (not (etc_t))))\n"
    (finding,) = [each for each in linted(TEXT, plain=plain) if each.id == "no-role"]
    assert (finding.line, finding.remedy) == (4, "Add a role: `(roletype system_r web.process)`.")


def test_a_type_that_is_not_used_gets_no_second_finding(linted: Lint) -> None:
    assert outline(linted("(type data)", plain="(type data)\n")) == [("warning", "unused-declaration", 1)]


def test_a_policy_that_does_not_compile_has_no_finding_about_its_types(linted: Lint) -> None:
    assert [each for each in linted(TEXT) if each.id == "no-attribute"] == []
