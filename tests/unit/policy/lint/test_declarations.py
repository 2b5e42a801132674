"""Names: unknown and unused requirements, unused declarations, and unusable types."""

from __future__ import annotations

import pytest

from .conftest import DOMAIN, HEAD, Lint, outline


def test_a_required_name_that_the_base_lacks_is_an_error_with_the_nearest(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "gen_require(`\n\ttype shred_t;\n')\nallow web_t shred_t:file read;\n")
    assert (outline([finding]), finding.remedy) == (
        [("error", "unknown-require", 4)],
        "Did you mean 'shared_t'?",
    )


@pytest.mark.parametrize(
    "text", ["type lost_t", "attribute lost", "class lost { read }", "role lost_r", "bool lost"]
)
def test_every_kind_of_name_is_looked_up(linted: Lint, text: str) -> None:
    assert outline(linted(DOMAIN + f"require {{\n\t{text};\n}}\n")) == [("error", "unknown-require", 4)]


def test_in_an_optional_block_a_missing_name_is_a_warning(linted: Lint) -> None:
    te = (
        DOMAIN
        + "optional_policy(`\n\tgen_require(`\n\t\ttype lost_t;\n\t')\n\tallow web_t lost_t:file read;\n')\n"
    )
    assert outline(linted(te)) == [("warning", "unknown-require", 5)]


def test_a_name_of_a_required_module_is_known(linted: Lint) -> None:
    te = DOMAIN + "gen_require(`\n\ttype common_t;\n')\nallow web_t common_t:file read;\n"
    assert linted(te, requires="policy_module(common, 1.0)\ntype common_t;\n") == []


def test_a_required_name_that_nothing_uses_is_a_warning(linted: Lint) -> None:
    assert outline(
        linted(DOMAIN + "gen_require(`\n\ttype shared_t, kernel_t;\n')\nallow web_t kernel_t:file read;\n")
    ) == [("warning", "unused-require", 4)]


def test_a_foreign_type_with_interfaces_is_a_note_that_says_where_they_are(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "gen_require(`\n\ttype etc_t;\n')\nallow web_t etc_t:file read;\n")
    assert outline([finding]) == [("note", "foreign-type", 4)]
    assert "kernel/files.if" in finding.remedy


@pytest.mark.parametrize(
    "text", ["type web_x_t;", "attribute web_x;", "bool web_x false;", "gen_tunable(web_x, false)"]
)
def test_a_declaration_that_nothing_uses_is_a_warning(linted: Lint, text: str) -> None:
    assert outline(linted(DOMAIN + text + "\n")) == [("warning", "unused-declaration", 3)]


def test_an_alias_that_nothing_uses_is_there_for_others(linted: Lint) -> None:
    assert (
        linted(DOMAIN + "type web_log_t alias httpd_log_t, domain;\nrole r types { web_log_t web_t };\n")
        == []
    )


def test_a_declaration_that_an_interface_uses_is_used(linted: Lint) -> None:
    assert linted(HEAD + "attribute web_x;\n", own="interface(`web_join',`typeattribute $1 web_x;')\n") == []


def test_a_type_without_attribute_is_a_warning(linted: Lint) -> None:
    assert outline(linted(DOMAIN + "type web_x_t;\nallow web_t web_x_t:file read;\n")) == [
        ("warning", "no-attribute", 3)
    ]


def test_a_domain_without_role_is_a_warning(linted: Lint) -> None:
    assert outline(linted(HEAD + "type web_t, domain;\n")) == [("warning", "no-role", 2)]


def test_a_declared_type_that_only_the_file_contexts_name_is_used(linted: Lint) -> None:
    te = DOMAIN + "type web_log_t, domain;\nrole r types web_log_t;\n"
    assert linted(te, fc="/web gen_context(u:object_r:web_log_t,s0)\n") == []


def test_the_remedy_names_the_role_statement_for_a_domain_without_role(linted: Lint) -> None:
    (finding,) = linted(HEAD + "type web_t, domain;\n")
    assert finding.remedy == "Add a role: `role system_r types web_t;`."
