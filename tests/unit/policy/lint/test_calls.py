"""Calls: unknown interfaces, wrong numbers of arguments, and deprecated interfaces."""

from __future__ import annotations

import pytest

from selab.policy.interfaces import Interface
from selab.policy.lint.calls import signature

from .conftest import DOMAIN, HEAD, Lint, outline


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


def test_an_own_interface_that_is_no_policy_is_reported(linted: Lint) -> None:
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
def test_a_wrong_number_of_arguments_is_reported(linted: Lint, call: str, severity: str) -> None:
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


def test_a_template_with_more_arguments_than_any_distribution_has_is_reported(linted: Lint) -> None:
    assert outline(linted(HEAD + "container_domain_template(web, container, x)\n")) == [
        ("warning", "arguments", 2)
    ]


@pytest.mark.parametrize("name", ["", ', "x"'])
def test_an_optional_argument_may_be_left_out(linted: Lint, name: str) -> None:
    assert linted(DOMAIN + f"files_etc_filetrans(web_t, web_t{name})\n") == []


def test_a_call_is_remedied_with_its_optional_arguments_marked(linted: Lint) -> None:
    finding = linted(DOMAIN + "files_etc_filetrans(web_t)\n")[0]
    assert "files_etc_filetrans(domain, type [, name])" in finding.remedy


def test_a_deprecated_interface_names_its_replacement(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "files_read_config(web_t)\n")
    assert outline([finding]) == [("warning", "deprecated", 3)]
    assert "files_read_etc_files()" in finding.remedy


def test_an_unknown_interface_without_a_similar_name_has_no_remedy(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "zzzzzzzz(web_t)\n")
    assert (finding.id, finding.remedy) == ("unknown-interface", "")


@pytest.mark.parametrize(
    ("required", "call"),
    [(0, "f( [, a] [, b])"), (1, "f(a [, b])"), (2, "f(a, b)")],
)
def test_the_signature_marks_the_arguments_that_a_call_may_leave_out(required: int, call: str) -> None:
    assert signature(Interface("f", "interface", "x.if", 1, "", ("a", "b"), required)) == call


def test_the_message_states_the_smallest_and_the_largest_number_of_arguments(linted: Lint) -> None:
    (finding,) = linted(DOMAIN + "files_etc_filetrans(web_t)\n")
    assert finding.message == "'files_etc_filetrans' takes 2 to 3 arguments, but gets 1."


@pytest.mark.parametrize(
    ("call", "id", "name"),
    [
        ("container_domain_templat(app)", "unknown-interface", "app"),
        ("container_domain_template()", "arguments", "web"),
    ],
)
def test_the_container_template_is_proposed_in_the_form_that_works_everywhere(
    linted: Lint, call: str, id: str, name: str
) -> None:
    (remedy,) = [finding.remedy for finding in linted(f"{HEAD}{call}\n") if finding.id == id]
    assert f"container_domain_template({name}, container)" in remedy
    assert "gen_require(`type container_file_t;')" in remedy
