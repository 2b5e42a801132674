"""The suggested rules in a block of CIL: found again, added to, and nothing else touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.advice.cil_block import BEGIN, END, cil, inserted_into
from selab.advice.remedy import Kind
from selab.errors import InputError
from selab.policy.language.cil_source import parse
from tests.unit.advice.conftest import need
from tests.unit.advice.test_block import chosen

BLOCK = """; my policy
(block web
    (type process) ; its processes
    (allow process etc_t (dir (search)))
)
(allow other_t etc_t (file (read)))"""
READ = chosen("read_etc(web.process)", Kind.INTERFACE, need("web.process", "etc_t", "file", "read"))
RULE = "    (allow process etc_t (file (read)))\n"


def test_a_domain_out_of_a_block_of_cil_gets_rules_in_cil() -> None:
    denied = need("web.process", "etc_t", "file", "read", "open", comm="cat", path="/etc/hosts")
    assert cil([chosen("read_etc(web.process)", Kind.INTERFACE, denied)]) == (
        "; web.process etc_t:file { open read } (cat /etc/hosts)\n"
        "(allow web.process etc_t (file (open read)))"
    )


CALL = chosen("(call web.reads (web.process etc_t))", Kind.MACRO)
INHERIT = chosen("(blockinherit web_logs)", Kind.BLOCK)


def test_a_call_stands_in_the_block_with_the_names_that_it_has_there() -> None:
    assert "\n    (call reads (process etc_t))\n" in inserted_into(BLOCK, [CALL], "web")


def test_a_call_outside_of_a_block_has_whole_names() -> None:
    assert "\n(call web.reads (web.process etc_t))\n" in inserted_into("(type web_t)\n", [CALL], "web")


def test_a_block_to_inherit_is_written_into_the_candidates_block() -> None:
    (block, _) = parse(inserted_into(BLOCK, [INHERIT], "web"))
    assert block.lists[-1].words == ("blockinherit", "web_logs")


def test_one_call_for_two_denials_is_written_once() -> None:
    again = chosen(CALL[1].text, Kind.MACRO, need("web.process", "etc_t", "file", "open"))
    lines = cil([CALL, again]).splitlines()
    assert (lines[0], lines[1:]) == ("; app_t etc_t:file read", [CALL[1].text])


@pytest.mark.parametrize("written", [CALL, INHERIT])
def test_a_call_or_block_that_stands_there_already_is_not_added_again(written: Any) -> None:
    once = inserted_into(BLOCK, [written], "web")
    assert inserted_into(once, [written], "web") == once


def test_cil_says_self_for_its_own() -> None:
    own = need("web.process", "web.process", "capability", "setuid")
    assert "(allow web.process self (capability (setuid)))" in cil([chosen("x", Kind.RULE, own)])


def test_cil_has_the_permissions_that_a_rule_with_commands_adds() -> None:
    denied = need("web.process", "etc_t", "file", "read", "ioctl", commands=2)
    with_commands = chosen("x", Kind.RULE, denied, permissions=frozenset({"ioctl"}), commands=2)
    assert cil([with_commands]).splitlines()[1:] == [
        "(allow web.process etc_t (file (ioctl)))",
        "(allowx web.process etc_t (ioctl file (0x1)))",
    ]


def test_cil_has_the_rules_of_each_denial() -> None:
    denied = [need("web.process", name, "file", "read") for name in ("etc_t", "usr_t")]
    lines = cil([chosen("x", Kind.RULE, each) for each in denied]).splitlines()
    assert [line for line in lines if line.startswith("(")] == [
        "(allow web.process etc_t (file (read)))",
        "(allow web.process usr_t (file (read)))",
    ]


def test_rules_are_added_at_the_end_of_the_block_with_names_in_it() -> None:
    text = inserted_into(BLOCK, [READ], "web")
    head, _, tail = text.partition(f"    {BEGIN}\n")
    assert (head, tail.partition(RULE)[2]) == (
        BLOCK.partition(")\n(allow other")[0],
        f"    {END}\n)\n(allow other_t etc_t (file (read)))",
    )


def test_the_rules_belong_to_the_block() -> None:
    (block, _) = parse(inserted_into(BLOCK, [READ], "web"))
    assert block.lists[-1].words == ("allow", "process", "etc_t")


def test_a_block_on_one_line_is_extended_before_its_parenthesis() -> None:
    text = inserted_into("(block web (type process))", [READ], "web")
    assert len(parse(text)[0].lists) == 2


def test_without_a_block_of_its_name_the_rules_are_added_to_the_file() -> None:
    denied = need("web_t", "etc_t", "file", "read")
    text = inserted_into("(type web_t)\n", [chosen("x", Kind.RULE, denied)], "web")
    assert (text.startswith(f"(type web_t)\n{BEGIN}\n"), "\n(allow web_t etc_t" in text) == (True, True)


def test_without_a_block_of_its_name_names_are_written_whole() -> None:
    assert "(allow web.process etc_t " in inserted_into("(type web_t)\n", [READ], "web")


@pytest.mark.parametrize(("text", "gap"), [("", ""), ("(type web_t)", "\n"), ("(type web_t)\n", "")])
def test_the_rules_begin_on_a_line_of_their_own(text: str, gap: str) -> None:
    assert inserted_into(text, [READ], "web").startswith(f"{text}{gap}{BEGIN}\n")


def test_the_rules_stand_above_the_line_of_the_blocks_parenthesis() -> None:
    text = "(block web\n  (type process)\n  )\n"
    assert inserted_into(text, [READ], "web").endswith(f"    {END}\n  )\n")


def test_only_the_first_of_two_rules_for_an_access_has_a_comment() -> None:
    denied = need("web.process", "etc_t", "file", "ioctl", commands=2)
    text = inserted_into(
        "", [chosen("x", Kind.RULE, denied, permissions=frozenset({"ioctl"}), commands=2)], "web"
    )
    assert text.splitlines()[1:-1] == [
        "; web.process etc_t:file ioctl",
        "(allow web.process etc_t (file (ioctl)))",
        "(allowx web.process etc_t (ioctl file (0x1)))",
    ]


def test_a_rule_that_stands_there_already_is_left_out_with_its_comment() -> None:
    once = inserted_into("", [READ], "web")
    write = chosen("x", Kind.RULE, need("web.process", "etc_t", "file", "write"))
    assert inserted_into(once, [READ, write], "web").splitlines()[1:-1] == [
        "; web.process etc_t:file read",
        "(allow web.process etc_t (file (read)))",
        "; web.process etc_t:file write",
        "(allow web.process etc_t (file (write)))",
    ]


def test_further_rules_follow_those_of_an_earlier_call() -> None:
    write = chosen("x", Kind.RULE, need("web.process", "etc_t", "file", "write"))
    text = inserted_into(inserted_into(BLOCK, [READ], "web"), [write], "web")
    rules = [line.strip() for line in text.partition(BEGIN)[2].partition(END)[0].splitlines() if "(a" in line]
    assert rules == ["(allow process etc_t (file (read)))", "(allow process etc_t (file (write)))"]


def test_a_rule_that_stands_there_already_is_not_added_again() -> None:
    once = inserted_into(BLOCK, [READ], "web")
    assert inserted_into(once, [READ], "web") == once


def test_nothing_chosen_changes_nothing() -> None:
    assert inserted_into(BLOCK, [], "web") == BLOCK


@pytest.mark.parametrize("text", [f"    {BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_broken_markers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="markers"):
        inserted_into(text, [READ], "web")


@given(st.text(alphabet='ab ;\n\t"', max_size=40))
def test_all_other_text_stays_as_it_is(comment: str) -> None:
    text = f"; {comment.replace(chr(10), chr(10) + '; ')}\n{BLOCK}"
    extended = inserted_into(text, [READ, CALL, INHERIT], "web")
    begin, end = extended.index(f"    {BEGIN}"), extended.index(END) + len(END) + 1
    assert extended[:begin] + extended[end:] == text
