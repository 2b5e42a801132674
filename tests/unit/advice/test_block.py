"""The block of suggested rules in a .te: found again, added to, and nothing else touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.advice.advise import Advice
from selab.advice.block import BEGIN, END, block, inserted_into
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.errors import InputError
from selab.policy.query.decide import Cause
from tests.unit.advice.conftest import need

TE = "policy_module(app, 1.0)\n"


def chosen(
    text: str, kind: Kind = Kind.RULE, denied: DeniedAccess | None = None, **more: object
) -> tuple[Advice, Remedy]:
    remedy = Remedy(kind, text, **more)  # type: ignore[arg-type]
    return Advice(denied or need("app_t", "etc_t", "file", "read"), "", Cause.RULE, (remedy,)), remedy


RULE = chosen("allow app_t etc_t:file read;", requires=(("type", "etc_t"),))


def test_own_rules_come_first_then_others_then_the_kernel_layer_then_the_rest() -> None:
    call, kernel = (
        chosen("other(app_t)", Kind.INTERFACE),
        chosen("files(app_t)", Kind.INTERFACE, layer="kernel"),
    )
    lines = block([call, kernel, RULE, chosen("allow app_t self:process fork;")]).splitlines()
    assert [line for line in lines if line.startswith(("allow", "files", "other"))] == [
        "allow app_t self:process fork;",
        "allow app_t etc_t:file read;",
        "files(app_t)",
        "other(app_t)",
    ]


def test_within_a_kind_lines_are_sorted_by_their_comment_and_kinds_are_not_mixed() -> None:
    remedies = [
        chosen("a_call(app_t)", Kind.INTERFACE),
        chosen("z_call(app_t)", Kind.INTERFACE, layer="kernel"),
        chosen("allow app_t etc_t:file read;"),
        chosen("allow app_t self:process fork;"),
        chosen("typeattribute app_t zone;", Kind.ATTRIBUTE),
    ]
    lines = [line for line in block(remedies).splitlines() if line[0] not in "#g\t'"]
    assert lines == [
        "allow app_t self:process fork;",
        "typeattribute app_t zone;",
        "allow app_t etc_t:file read;",
        "z_call(app_t)",
        "a_call(app_t)",
    ]


def test_the_first_line_of_an_earlier_block_is_known() -> None:
    """A call needs no requirement, so its comment is the first line."""
    call = chosen("files(app_t)", Kind.INTERFACE)
    text = f"{BEGIN}\nfiles(app_t)\n{END}\n"
    assert inserted_into(text, [call]) == text


def test_names_of_others_are_required() -> None:
    assert block([RULE]).startswith("gen_require(`\n\ttype etc_t;\n')\n")


def test_each_line_says_what_asked_for_it() -> None:
    denied = need("app_t", "etc_t", "file", "read", comm="cat", path="/etc/hosts")
    assert "# app_t etc_t:file read (cat /etc/hosts)\nfiles(app_t)" in block(
        [chosen("files(app_t)", Kind.INTERFACE, denied)]
    )


@given(st.text())
def test_a_name_out_of_a_record_stays_in_its_comment(path: str) -> None:
    denied = need("app_t", "etc_t", "file", "read", comm="cat", path=path)
    (comment, rule) = block([chosen("files(app_t)", Kind.INTERFACE, denied)]).split("\n")
    assert comment.startswith("# ") and not {"`", "'"} & set(comment) and rule == "files(app_t)"


@pytest.mark.parametrize(
    ("path", "detail", "comment"),
    [
        ("/etc/a`b'c\x1b", "", "# app_t etc_t:file read (cat /etc/a?b?c?)"),
        ("/etc/a", "src=80", "# app_t etc_t:file read (cat /etc/a)"),
        ("", "src=80", "# app_t etc_t:file read (cat src=80)"),
        ("", "", "# app_t etc_t:file read (cat)"),
    ],
)
def test_the_comment_names_the_example_without_what_m4_would_evaluate(
    path: str, detail: str, comment: str
) -> None:
    denied = need("app_t", "etc_t", "file", "read", comm="cat", path=path, detail=detail)
    assert block([chosen("files(app_t)", Kind.INTERFACE, denied)]) == f"{comment}\nfiles(app_t)"


def test_without_an_example_the_comment_names_the_access_alone() -> None:
    assert block([chosen("files(app_t)", Kind.INTERFACE)]).startswith("# app_t etc_t:file read\n")


def test_a_line_that_two_denials_ask_for_is_written_once_with_the_first() -> None:
    first, second = (need("app_t", "etc_t", "file", "read", path=path) for path in ("/a", "/b"))
    both = [chosen("files(app_t)", Kind.INTERFACE, denied) for denied in (first, second)]
    assert block(both) == "# app_t etc_t:file read (/a)\nfiles(app_t)"


def test_the_names_that_all_lines_require_are_sorted_and_those_that_are_there_left_out() -> None:
    lines = [chosen(f"allow {name};", requires=(("type", name), ("role", "r"))) for name in "cab"]
    heading = block(lines, ["\ttype b;"]).partition("\n# ")[0]
    assert heading == "gen_require(`\n\trole r;\n\ttype a;\n\ttype c;\n')"


@pytest.mark.parametrize(("text", "gap"), [("", ""), ("x", "\n\n"), ("x\n", "\n"), ("x\n\n", "")])
def test_the_block_is_a_paragraph_at_the_end_of_the_file(text: str, gap: str) -> None:
    assert inserted_into(text, [RULE]) == f"{text}{gap}{BEGIN}\n{block([RULE])}\n{END}\n"


def test_of_two_lines_that_belong_together_both_are_written_if_one_is_missing() -> None:
    before = inserted_into(TE, [RULE])
    both = chosen("allow app_t etc_t:file read;\nallowxperm app_t etc_t:file ioctl 0x1;")
    assert "allowxperm app_t etc_t:file ioctl 0x1;\n" in inserted_into(before, [both])


def test_the_rest_of_the_file_stays_byte_for_byte() -> None:
    first = inserted_into(TE, [RULE])
    text = first.replace(TE, "# mine\n" + TE) + "# below\n"
    written = inserted_into(text, [RULE, chosen("allow app_t self:process fork;")])
    assert written.startswith("# mine\n" + TE) and written.endswith(END + "\n# below\n")


def test_the_same_again_changes_nothing() -> None:
    once = inserted_into(TE, [RULE])
    assert inserted_into(once, [RULE]) == once


def test_less_than_is_there_already_changes_nothing() -> None:
    other = chosen("allow app_t home_t:file read;", requires=(("type", "home_t"),))
    both = inserted_into(TE, [RULE, other])
    assert inserted_into(both, [other]) == both


def test_what_an_earlier_run_asked_for_is_kept() -> None:
    written = inserted_into(inserted_into(TE, [RULE]), [chosen("files(app_t)", Kind.INTERFACE)])
    assert ("allow app_t etc_t:file read;" in written, "files(app_t)" in written, written.count(BEGIN)) == (
        True,
        True,
        1,
    )


def test_what_is_declared_already_is_not_declared_again() -> None:
    more = chosen("allow app_t etc_t:dir search;", requires=(("type", "etc_t"),))
    assert inserted_into(inserted_into(TE, [RULE]), [RULE, more]).count("type etc_t;") == 1


def test_without_anything_to_add_the_file_is_as_it_was() -> None:
    assert inserted_into(TE, []) == TE


@pytest.mark.parametrize("text", [f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_broken_markers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="markers"):
        inserted_into(text, [RULE])
