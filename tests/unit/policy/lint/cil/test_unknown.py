"""Names in CIL that nothing declares, and calls with the wrong number of arguments."""

from __future__ import annotations

import pytest

from .conftest import Lint, outline

RULES = "(allow process self (file (read)))"


@pytest.mark.parametrize(
    ("statement", "message", "near"),
    [
        ("(allow process etcc_t (file (read)))", "The type or attribute 'etcc_t' is not declared", "etc_t"),
        ("(typeattributeset domaain (process))", "The type or attribute 'domaain' is not", "domain"),
        ("(allow process self (fil (read)))", "The class 'fil' is not declared", "file"),
        ("(allow process self (file (reed)))", "The class 'file' has no permission 'reed'", "read"),
        ("(allow process self (file (wach)))", "The class 'file' has no permission 'wach'", "watch"),
        ("(allow process self (tcp_socket (read)))", "The class 'tcp_socket' has no permission 'read'", ""),
        ("(allow process self read_file)", "The class permission 'read_file' is not declared", "read_files"),
        ("(allowx process self (ioctl fil (0x1)))", "The class 'fil' is not declared", "file"),
        ("(roletype sistem_r process)", "The role 'sistem_r' is not declared", "system_r"),
        (f"(booleanif httpd_enabled (true {RULES}))", "The boolean 'httpd_enabled' is not", "httpd_enable"),
        (f"(booleanif (not httpd_enabl) (true {RULES}))", "The boolean 'httpd_enabl' is", "httpd_enable"),
        ("(call reeds (process))", "The macro 'reeds' is not declared", "reads"),
        ("(call reads (etcc_t))", "The type or attribute 'etcc_t' is not declared", "etc_t"),
        ("(blockinherit absent.base)", "The block 'absent.base' is not declared", ""),
        ("(in absent (type y))", "The block, macro or optional 'absent' is not declared", ""),
        ("(blockinherit basse)", "The block 'basse' is not declared", "base"),
        ("(typetransition process etc_t fil \"x\" etc_t)", "The class 'fil' is not declared", "file"),
        ('(filecon "/x" any (system_v object_r etc_t ((s0) (s0))))', "The user 'system_v'", "system_u"),
        ('(filecon "/x" any (system_u system_r etcc_t ((s0) (s0))))', "attribute 'etcc_t'", "etc_t"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_an_error_with_the_nearest_name_of_its_kind(
    linted: Lint, statement: str, message: str, near: str
) -> None:
    text = f"(block web\n(type process) {RULES}\n{statement})\n"
    text += "(classpermission read_files) (classpermissionset read_files (file (read)))\n"
    text += f"(in web (allow process self read_files)) (macro reads ((type t)) {RULES})\n"
    text += "(block base (type x)) (role object_r)"
    (finding,) = [each for each in linted(text) if each.severity == "error"]
    assert (finding.id, finding.line) == ("unknown-name", 3)
    assert message in finding.message
    assert finding.message.endswith(f": {statement}")
    assert (f"'{near}'" if near else "") in finding.remedy


@pytest.mark.parametrize(
    "text",
    [
        "(block web (type process) (allow process other.data (file (read watch))))",
        "(block web (type process) (allow .web.process self (file (all))))",
        "(macro m ((type t) (class c) (classpermission p)) (allow t self (c (go))) (allow t t p))",
        "(block a (type x)) (block b (blockinherit a) (allow x x (file (read))))",
        "(class capsule (fly)) (type x_t) (allow x_t x_t (capsule (fly)))",
        "(classmap files (look)) (classmapping files look (file (read))) (type t) (allow t t (files (look)))",
        "(typeattributeset cil_gen_require (etc_t))",
        "(typeattribute a) (typeattributeset a (and (domain) (not (etc_t))))",
        "(allow etc_t notself (file (not (read))))",
        '(genfscon proc "/x" (system_u system_r etc_t ((s0) (s0))))',
        "(booleanif (and httpd_enable (not httpd_enable)) (true (allow etc_t etc_t (file (read)))))",
        "(in after other (allow etc_t etc_t (file (read))))",
        "(optional o (allow etc_t etc_t (file (read)))) (in o (allow etc_t self (file (read))))",
        "(macro m () (allow etc_t etc_t (file (read)))) (in m (allow etc_t self (file (read))))",
        "(macro m ((type t)) (allow t t (file (read)))) (in m (allow t etc_t (file (read))))",
    ],
)
def test_declared_names_and_parameters_are_known(linted: Lint, text: str) -> None:
    assert [each for each in linted(text) if each.id == "unknown-name"] == []


def test_a_type_of_a_required_te_is_known(linted: Lint) -> None:
    te = "policy_module(lib, 1.0)\ntype lib_log_t;\n"
    assert linted("(allow etc_t lib_log_t (file (read)))", te=te) == []


def test_an_optional_with_an_unknown_name_is_reported_once_and_as_a_warning(linted: Lint) -> None:
    text = "(optional o\n(allow etc_t absent_t (file (read)))\n(allow etc_t none_t (file (read))))"
    (finding,) = linted(text)
    assert (finding.severity, finding.line) == ("warning", 2)
    assert "so this optional never takes effect" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "(macro m ((type t))\n(allow t absent_t (file (read))))",
        "(block b (blockabstract b)\n(allow etc_t absent_t (file (read))))",
    ],
)
def test_an_unknown_name_in_what_nothing_uses_is_a_warning(linted: Lint, text: str) -> None:
    assert ("warning", "unknown-name", 2) in outline(linted(text))


def test_an_unknown_name_in_a_template_is_reported_in_its_file(linted: Lint) -> None:
    template = "(block box (blockabstract box) (type process)\n(allow process absent_t (file (read))))"
    (finding,) = linted("(block web (blockinherit box))", template=template)
    assert (finding.file.name, finding.line, finding.severity) == ("box.cil", 2, "error")


def test_in_a_policy_that_compiles_no_unknown_name_is_an_error(linted: Lint) -> None:
    template = "(block box (blockabstract box) (type x) (allow x absent_t (file (read))))"
    text = "(block web (blockinherit box))\n(macro m () (allow etc_t gone_t (file (read))))\n(call m)"
    findings = linted(text, template=template, plain="")
    assert outline(findings) == [("warning", "unknown-name", 2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(call m (etc_t))", "The macro 'm' takes 2 arguments, but gets 1"),
        ("(call m (etc_t etc_t (file (read))))", "The macro 'm' takes 2 arguments, but gets 3"),
        ("(call m)", "The macro 'm' takes 2 arguments, but gets 0"),
    ],
)
def test_a_call_with_another_number_of_arguments_is_an_error(linted: Lint, call: str, message: str) -> None:
    macro = "(macro m ((type d) (type t)) (allow d t (file (read))))\n"
    (finding,) = linted(macro + call)
    assert (finding.id, finding.line, finding.remedy) == ("arguments", 2, "Call it as (call m (d t)).")
    assert finding.message == f"{message}: {call}"


def test_a_call_with_its_arguments_is_right(linted: Lint) -> None:
    macro = "(macro m ((type d) (classpermission p)) (allow d d p))\n"
    assert linted(f"{macro}(call m (etc_t (file (read))))") == []
