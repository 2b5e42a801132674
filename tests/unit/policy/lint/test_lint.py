"""Each finding, by the smallest module that has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import interface_table, module_interfaces
from selab.policy.lint import Finding, Severity, lint, module_under_lint
from selab.policy.lint.names import vocabulary
from selab.policy.lint.subject import text_of
from selab.policy.module import PolicyModule
from tests.unit.headers import write_headers

pytestmark = pytest.mark.toolchain

HEAD = "policy_module(web, 1.0)\n"
DOMAIN = HEAD + "container_domain_template(web)\n"
Lint = Callable[..., list[Finding]]


@pytest.fixture
def linted(base: BasePolicy) -> Lint:
    write_headers(base.headers)
    table = interface_table(base)

    def run(te: str, *, fc: str = "", own: str = "", requires: str = "") -> list[Finding]:
        common = (PolicyModule("common", Path("/p"), {"te": requires.encode()}),) if requires else ()
        texts = {ending: text.encode() for ending, text in (("te", te), ("fc", fc), ("if", own)) if text}
        module = PolicyModule("web", Path("/p"), texts, common)
        mine = module_interfaces(base, {"web.if": text_of(module, "if")} if own else {})
        return lint(module_under_lint(module, base, vocabulary(base), table, mine))

    return run


def outline(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(str(finding.severity), finding.id, finding.line) for finding in findings]


def test_a_module_without_fault_has_no_finding(linted: Lint) -> None:
    te = (
        DOMAIN
        + "type web_log_t, domain;\nrole r types web_log_t;\nallow web_t web_log_t:file read_file_perms;\nfiles_read_etc_files(web_t)\n"
    )
    assert linted(te, fc="/web(/.*)?\tgen_context(u:object_r:web_log_t,s0)\n") == []


def test_an_unknown_interface_is_an_error_with_the_nearest_and_its_arguments(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "files_red_etc_files(web_t)\n")
    assert outline([finding]) == [("error", "unknown-interface", 3)]
    assert finding.remedy == "Did you mean files_read_etc_files(domain)?"


def test_an_unknown_interface_of_another_build_is_a_warning(linted: Lint) -> None:
    assert outline(linted(DOMAIN + "ifdef(`distro_other',`\n\tother_thing(web_t)\n')\n")) == [
        ("warning", "unknown-interface", 4)
    ]


@pytest.mark.parametrize(
    "call",
    ["read_file_perms(web_t)", "define(`mine',`')mine(web_t)", "gen_tunable(x, false)tunable_policy(`x',`')"],
)
def test_a_macro_is_no_unknown_interface(linted: Lint, call: str) -> None:
    assert linted(DOMAIN + call + "\n") == []


def test_an_own_interface_is_known(linted: Lint) -> None:
    assert (
        linted(DOMAIN + "web_read(web_t)\n", own="interface(`web_read',`allow $1 self:file read;')\n") == []
    )


def test_an_own_interface_that_is_no_policy_is_told(linted: Lint) -> None:
    (finding,) = linted(DOMAIN, own="interface(`web_read',`\n\tno_such_thing($1)\n')\n")
    assert (finding.id, finding.file.name, finding.line) == ("broken-interface", "web.if", 1)


@pytest.mark.parametrize(
    ("call", "severity"),
    [
        ("files_read_etc_files()", "error"),
        ("files_read_etc_files(web_t, x)", "warning"),
        ("files_etc_filetrans(web_t)", "error"),
    ],
)
def test_a_wrong_number_of_arguments_is_told(linted: Lint, call: str, severity: str) -> None:
    assert outline(linted(DOMAIN + call + "\n")) == [(severity, "arguments", 3)]


def test_a_template_may_be_called_as_another_distribution_has_it(linted: Lint) -> None:
    te = "type container_file_t, domain;\nrole r types container_file_t;\n"
    assert (
        linted(
            HEAD + "gen_require(`\n\ttype container_file_t;\n')\ncontainer_domain_template(web, container)\n",
            requires=te,
        )
        == []
    )


def test_a_template_with_more_arguments_than_any_distribution_has_is_told(linted: Lint) -> None:
    assert outline(linted(HEAD + "container_domain_template(web, container, x)\n")) == [
        ("warning", "arguments", 2)
    ]


@pytest.mark.parametrize("name", ["", ', "x"'])
def test_an_optional_argument_may_be_left_out(linted: Lint, name: str) -> None:
    assert linted(DOMAIN + f"files_etc_filetrans(web_t, web_t{name})\n") == []


def test_a_call_is_remedied_with_its_optional_arguments_marked(linted: Lint) -> None:
    assert (
        linted(DOMAIN + "files_etc_filetrans(web_t)\n")[0].remedy
        == "Call it as files_etc_filetrans(domain, type [, name])."
    )


def test_a_deprecated_interface_names_its_replacement(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "files_read_config(web_t)\n")
    assert outline([finding]) == [("warning", "deprecated", 3)]
    assert finding.remedy == "Use files_read_etc_files() instead."


def test_a_required_name_that_the_base_lacks_is_an_error_with_the_nearest(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "gen_require(`\n\ttype shred_t;\n')\nallow web_t shred_t:file read;\n")
    assert (outline([finding]), finding.remedy) == (
        [("error", "unknown-require", 4)],
        "Did you mean 'shared_t'?",
    )


@pytest.mark.parametrize(
    "text", ["type nobody_t", "attribute nobody", "class nobody { read }", "role nobody_r", "bool nobody"]
)
def test_every_kind_of_name_is_looked_up(linted: Lint, text: str) -> None:
    assert outline(linted(DOMAIN + f"require {{\n\t{text};\n}}\n")) == [("error", "unknown-require", 4)]


def test_in_an_optional_block_a_missing_name_is_a_warning(linted: Lint) -> None:
    te = (
        DOMAIN
        + "optional_policy(`\n\tgen_require(`\n\t\ttype nobody_t;\n\t')\n\tallow web_t nobody_t:file read;\n')\n"
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


@pytest.mark.parametrize(
    ("line", "id"),
    [
        ("/web", "fc-syntax"),
        ("/web -q gen_context(u:object_r:web_t,s0)", "fc-syntax"),
        ("/web -- web_t", "fc-syntax"),
        ("web gen_context(u:object_r:web_t,s0)", "fc-syntax"),
        ("/web -- gen_context(u:object_r:web_t,s0) x", "fc-syntax"),
        ("/we(b -- gen_context(u:object_r:web_t,s0)", "fc-pattern"),
        ("/web -- gen_context(u:object_r:wob_t,s0)", "fc-type"),
        ("/web -- u:object_r:wob_t:s0", "fc-type"),
    ],
)
def test_a_wrong_line_of_file_contexts_is_an_error(linted: Lint, line: str, id: str) -> None:
    assert outline(linted(DOMAIN, fc=f"# web\n{line}\n")) == [("error", id, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "/web(/.*)?\t--\tgen_context(u:object_r:web_t,s0,c0)",
        "/web -d <<none>>",
        "HOME_DIR/web u:object_r:etc_t:s0",
        "ifdef(`x',`\n/web gen_context(u:object_r:web_t,s0)\n',`\n/web <<none>>\n')",
        "\n# /web",
    ],
)
def test_a_right_line_of_file_contexts_is_none(linted: Lint, text: str) -> None:
    assert linted(DOMAIN, fc=text + "\n") == []


def test_findings_come_in_the_order_of_their_lines(linted: Lint) -> None:
    lines = [
        finding.line
        for finding in linted(DOMAIN + "type a_t;\nnobody(web_t)\ntype b_t;\nallow web_t self:process *;\n")
    ]
    assert lines == sorted(lines)
