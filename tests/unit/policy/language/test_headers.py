"""Interfaces as their .if file documents them, without m4."""

from __future__ import annotations

import pytest

from selab.policy.language.headers import Heading, headings

FILE = """\
## <summary>What the module is for.</summary>

########################################
## <summary>
##	Read
##	logs.
## </summary>
## <param name="domain"><summary>Who may.</summary></param>
#
interface(`log_read',`
	allow $1 log_t:file read;
')

template(`log_template',`
	allow $1_t $2:file read; # and not $7
')
"""


def heading(text: str) -> Heading:
    (single,) = headings(text, "log.if")
    return single


def interface(params: str, body: str = "allow $1 $2:file read;") -> Heading:
    return heading(f"{params}interface(`f',`\n{body}\n')\n")


def param(name: str, optional: str = "") -> str:
    return f'## <param name="{name}"{optional}><summary>x</summary></param>\n'


OPTIONAL = ' optional="true"'


def test_an_interface_has_its_line_and_the_summary_right_above_it() -> None:
    first, second = headings(FILE, "system/log.if")
    assert first == Heading("log_read", "interface", "system/log.if", 10, "Read logs.", ("domain",), 1)
    assert (second.name, second.kind, second.line) == ("log_template", "template", 14)


def test_the_comment_of_the_interface_before_belongs_to_that_one_only() -> None:
    assert [each.summary for each in headings(FILE, "log.if")][1] == ""


def test_a_parameter_that_no_comment_names_is_called_as_in_the_body() -> None:
    assert interface(param("domain"), "allow $1 $3:file read;").parameters == ("domain", "$2", "$3")


def test_a_parameter_in_a_comment_of_the_body_is_no_parameter() -> None:
    assert interface("", "allow $1 self:file read; # not $4").parameters == ("$1",)


@pytest.mark.parametrize(
    ("params", "required"),
    [
        (param("a") + param("b"), 2),
        (param("a") + param("b", OPTIONAL), 1),
        (param("a", OPTIONAL) + param("b"), 2),
        (param("a", OPTIONAL) + param("b", OPTIONAL), 0),
        (param("a") + param("b") + param("unused"), 2),
        ("", 2),
    ],
)
def test_a_call_must_give_the_parameters_up_to_the_last_that_is_not_optional(
    params: str, required: int
) -> None:
    assert interface(params).required == required


def test_a_comment_that_is_no_xml_leaves_the_parameters_of_the_body() -> None:
    broken = interface("## <summary>a < b</summary>\n" + param("domain"))
    assert (broken.summary, broken.parameters, broken.required) == ("", ("$1", "$2"), 2)


def test_an_interface_that_a_comment_mentions_is_not_defined() -> None:
    assert list(headings("# interface(`f',`x')\n", "log.if")) == []
