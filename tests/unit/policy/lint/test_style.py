"""Style: wildcards in allow rules, and the order of a module's parts."""

from __future__ import annotations

import pytest

from selab.policy.lint import Severity

from .conftest import DOMAIN, Lint, outline


@pytest.mark.parametrize(
    "rule",
    [
        "allow web_t self:process *;",
        "allow web_t self:process ~signal;",
        "allow web_t ~web_t:process signal;",
    ],
)
def test_an_allow_rule_with_a_wildcard_is_a_warning(linted: Lint, rule: str) -> None:
    assert outline(linted(DOMAIN + rule + "\n")) == [("warning", "wildcard", 3)]


def test_a_dontaudit_rule_may_have_a_wildcard(linted: Lint) -> None:
    assert linted(DOMAIN + "dontaudit web_t self:process *;\n") == []


@pytest.mark.parametrize(
    "te",
    [
        "files_read_etc_files(web_t)\nallow web_t self:process signal;\n",
        "optional_policy(`\n\tfiles_read_etc_files(web_t)\n')\nallow web_t self:process signal;\n",
        "allow web_t self:process signal;\ntype web_log_t, domain;\nrole r types web_log_t;\n",
    ],
)
def test_another_order_than_refpolicys_is_a_note(linted: Lint, te: str) -> None:
    assert [(finding.severity, finding.id) for finding in linted(DOMAIN + te)] == [(Severity.NOTE, "order")]


@pytest.mark.parametrize(
    "te",
    [
        "files_read_etc_files(web_t)\nallow web_b_t self:process signal;\n",
        "files_etc_filetrans(web_t, web_t)\nallow web_t self:process signal;\n",
    ],
)
def test_the_order_is_that_of_each_domain_and_what_is_about_more_stands_anywhere(
    linted: Lint, te: str
) -> None:
    assert linted(DOMAIN + "container_domain_template(web_b)\n" + te) == []


def test_the_message_about_the_order_names_the_domain_and_both_parts(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "files_read_etc_files(web_t)\nallow web_t self:process signal;\n")
    assert finding.message == "A rule of the module's own for 'web_t' follows a call of the kernel layer."


def test_the_order_of_a_domain_is_reported_only_at_its_first_fault(linted: Lint) -> None:
    rule = "allow web_t self:process signal;\n"
    findings = linted(DOMAIN + "files_read_etc_files(web_t)\n" + rule + rule)
    assert outline(findings) == [("note", "order", 4)]
