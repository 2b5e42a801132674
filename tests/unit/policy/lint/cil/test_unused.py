"""Names in CIL that are not used, that hide others, or that stand for nothing."""

from __future__ import annotations

import pytest

from .conftest import Lint, outline


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("(type data)", "The type 'data' is declared but not used"),
        ("(typeattribute a) (typeattributeset a (etc_t))", "The attribute 'a' is declared but not used"),
        ("(boolean b true)", "The boolean 'b' is declared but not used"),
        ("(tunable b true)", "The tunable 'b' is declared but not used"),
        ("(role web_r)", "The role 'web_r' is declared but not used"),
        ("(macro m () (allow etc_t etc_t (file (read))))", "The macro 'm' is declared but not called"),
        ("(classpermission p) (classpermissionset p (file (read)))", "The class permission 'p' is declared"),
        ("(permissionx p (ioctl file (0x1)))", "The extended permission 'p' is declared but not used"),
        ("(block t (blockabstract t) (type x))", "The block 't' is declared but not inherited"),
    ],
)
def test_a_name_that_nothing_uses_is_a_warning(linted: Lint, declaration: str, message: str) -> None:
    findings = linted(f"\n{declaration}")
    assert outline(findings) == [("warning", "unused-declaration", 2)]
    assert findings[0].message.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "(type a_t) (allow a_t self (file (read)))",
        "(type a_t) (typeattributeset domain (a_t))",
        "(block b (type x)) (allow b.x b.x (file (read)))",
        "(block t (blockabstract t) (type x)) (block b (blockinherit t))",
        "(macro m ((type t)) (allow t t (file (read)))) (call m (etc_t))",
        "(boolean b true) (booleanif (not b) (true (allow etc_t etc_t (file (read)))))",
        "(typeattribute a) (typeattributeset a (etc_t)) (allow a a (file (read)))",
        "(typealias old_t) (typealiasactual old_t etc_t)",
        '(type f_t) (filecon "/srv/x" any (system_u system_r f_t ((s0) (s0))))',
    ],
)
def test_what_a_statement_mentions_is_used(linted: Lint, text: str) -> None:
    assert linted(text) == []


def test_a_policy_that_another_one_requires_may_declare_what_it_does_not_use(linted: Lint) -> None:
    assert linted("(type data) (typeattribute a)", is_required=True) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The policy contains no statement"),
        ("; a comment alone\n", "The policy contains no statement"),
        ("(block b)", "The block 'b' contains no statement"),
        ("(optional o)", "The optional 'o' contains no statement"),
        ("(macro m ()) (call m)", "The macro 'm' contains no statement"),
        ("(typeattribute a) (allow a a (file (read)))", "No type is in the attribute 'a'"),
    ],
)
def test_what_stands_for_nothing_is_a_warning(linted: Lint, text: str, message: str) -> None:
    (finding,) = linted(text)
    assert (finding.severity, finding.id) == ("warning", "empty")
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(block b\n(type etc_t) (allow etc_t etc_t (file (read))))",
            "The type 'etc_t' in 'b' hides that of the base policy",
        ),
        (
            "(type x) (allow x x (file (read))) (block b\n(block c\n(type x) (allow x x (file (read)))))",
            "The type 'x' in 'b.c' hides the one of line 1",
        ),
        (
            "(block b\n(typeattribute domain) (typeattributeset domain (etc_t)))",
            "The attribute 'domain' in 'b' hides that of the base policy",
        ),
        (
            "(call m (etc_t))\n(macro m ((type etc_t)) (allow etc_t etc_t (file (read))))",
            "The parameter 'etc_t' of the macro 'm' hides that of the base policy",
        ),
    ],
)
def test_a_name_that_hides_another_one_is_a_warning(linted: Lint, text: str, message: str) -> None:
    (finding,) = [each for each in linted(text) if each.id == "shadowed-name"]
    assert finding.line == text[: text.index(message.split("'")[1], text.rfind("\n"))].count("\n") + 1
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "(block b (type process)) (block c (type process))",
        "(block b (type data))",
        "(block file (type x))",
        "(block b (type system_r))",
    ],
)
def test_names_of_other_blocks_and_other_kinds_hide_nothing(linted: Lint, text: str) -> None:
    assert [each for each in linted(text) if each.id == "shadowed-name"] == []
