"""Markdown for a job's summary: what it shows, and that no text of a guest is more than text in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from selab.report.markdown import ROWS, code, render
from selab.report.model import MARKER
from selab.report.text import plain
from tests.unit.documents import CLASSIFIED, DENIAL, MISSING, SEVERAL, TOLERATED, document, report
from tests.unit.matrix.fakes import ended

from .test_hostile import ATTACKS, harmless, of
from .test_matrix import ALL, report_of

MARKDOWN = {
    "a bar": "a|b",
    "an escaped bar": r"a\|b",
    "a bar after two backslashes": r"a\\|b",
    "a bar in code": "`|`",
    "code": "`",
    "more code": "a ``` b ` c",
    "code at both ends": "`x`",
    "a backslash at the end": "x\\",
    "a link": "[x](http://example.test)",
    "an image": "![x](http://example.test/x.png)",
    "an address": "http://example.test www.example.test a@example.test",
    "a mention": "@user #1 :tada:",
    "HTML": "<img src=x onerror=alert(1)><!-- x --><script>",
    "an entity": "&lt;b&gt; &#124;",
    "emphasis": "**x** _y_ ~z~ $m$",
    "a table": "x |\n|---|\n| y",
    "spaces": " x ",
}
TEXTS = ATTACKS | MARKDOWN
hostile = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)

PARSER = MarkdownIt("gfm-like", {"html": True})
OURS = {"text", "softbreak", "code_inline"}
"""The kinds of inline tokens that a summary may have: no links, images, HTML or emphasis."""


def parsed(text: str) -> list[Token]:
    return PARSER.parse(text)


def inline(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables' bodies by row. By GitHub's rule a backslash escapes a character."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [re.findall(r"((?:\\.|[^|\\])*)\|", line[1:]) for line in lines]


@hostile
def test_what_a_guest_says_is_in_code_spans_only(text: str) -> None:
    made = render(report(of(text)))
    assert {token.type for token in inline(parsed(made))} <= OURS
    assert harmless(made.replace("## ", "").replace("### ", ""))


@hostile
def test_no_text_opens_a_block_of_html(text: str) -> None:
    blocks = [
        token.content.strip() for token in parsed(render(report(of(text)))) if token.type == "html_block"
    ]
    assert blocks == [MARKER]


@hostile
def test_every_row_of_a_table_has_the_cells_of_its_head(text: str) -> None:
    made = rows(render(report(of(text))))
    assert [len(row) for row in made] == [4, 4, 6, 6, 6, 6]


@hostile
def test_a_code_span_shows_the_text_and_nothing_else(text: str) -> None:
    (token,) = inline(parsed(f"{code(text)}\n"))
    assert (token.type, token.content) == ("code_inline", plain(text))


@given(st.text("`|\\ ax@:/<>[]()&#*_~$!-", min_size=1).filter(str.strip))
@example("`\\|`")
@settings(deadline=None)
def test_any_text_stays_in_its_cell(text: str) -> None:
    made = f"| a | b |\n|---|---|\n| {code(text, cell=True)} | end |\n"
    assert [len(row) for row in rows(made)] == [2, 2]
    kinds = [token.type for token in inline(parsed(made))]
    assert kinds == ["text", "text", "code_inline", "text"]


def test_a_run_has_its_verdict_label_reasons_steps_and_denials() -> None:
    made = render(report(document(hidden=[DENIAL], notes=["a note"])))
    assert made.splitlines() == [
        MARKER,
        "",
        "## `web`: FAIL",
        "",
        "Policy `web`, enforcing, label `system_u:system_r:web_t:s0:c1,c2`, run `20261123-220000-abcd`.",
        "",
        "- `step 'page' failed: no answer`",
        "- `1 unexpected denial`",
        "",
        "| step | result | seconds | detail |",
        "|---|---|---|---|",
        "| `page` | failed | 1.5 | `no answer` |",
        "| `log` | done | 0.1 |  |",
        "",
        "### Denials",
        "",
        "| # | source | target:class | permissions | count | example |",
        "|---|---|---|---|---|---|",
        "| 1 | `web_t` | `http_port_t:tcp_socket` | `name_bind` | 1 | `apache2 src=80` |",
        "",
        "### Denials hidden by dontaudit rules",
        "",
        "| # | source | target:class | permissions | count | example |",
        "|---|---|---|---|---|---|",
        "| 2 | `web_t` | `http_port_t:tcp_socket` | `name_bind` | 1 | `apache2 src=80` |",
        "",
        "### Notes",
        "",
        "- `a note`",
    ]


def test_a_bar_is_escaped_in_a_cell_and_nowhere_else() -> None:
    assert (code("a|b", cell=True), code("a|b")) == (r"`a\|b`", "`a|b`")


def test_several_runs_are_sections() -> None:
    made = render(report(document(), document(scenario="db", verdict="PASS")))
    assert re.findall(r"^## .*", made, re.MULTILINE) == ["## `web`: FAIL", "## `db`: PASS"]


def test_a_matrix_is_a_table_and_sections_for_what_was_not_expected() -> None:
    made = render(report_of(ALL))
    assert re.findall(r"^## .*", made, re.MULTILINE) == [
        "## Matrix: ERROR",
        "## `web draft permissive auto`: FAIL",
        "## `web other enforcing auto`: PASS, not FAIL",
        "## `web other permissive auto`: ERROR",
    ]
    assert "| `web` | `draft` | FAIL, as expected 1 denial | FAIL 1 denial |" in made
    assert "- `The VM did not come.`" in made


def test_a_parser_that_knows_links_finds_them_outside_of_code() -> None:
    """The tests above would pass with a parser that does not: this one shows that this parser does."""
    kinds = {token.type for token in inline(parsed("http://example.test <b>x</b> **y**\n"))}
    assert {"link_open", "html_inline", "strong_open"} <= kinds


def test_each_classification_has_a_section_with_its_reasons() -> None:
    sections = render(report(document(**CLASSIFIED))).split("### ")[1:]
    assert [section.splitlines()[0] for section in sections] == [
        "Denials",
        "Tolerated denials",
        "Expected denials",
        "Expected denials that did not occur",
    ]
    named = [("proc_t" in section, "shadow_t" in section) for section in sections[:3]]
    assert named == [(False, False), (True, False), (False, True)]
    assert "it only counts processors" in sections[1] and MISSING["entry"] in sections[3]


def test_denials_are_numbered_through_all_sections() -> None:
    table = rows(render(report(document(**CLASSIFIED))))
    assert [row[0].strip() for row in table if "web_t" in row[1]] == ["1", "2", "3"]


def test_a_hidden_denial_says_what_the_scenario_says() -> None:
    assert "it only counts processors" in render(report(document(hidden=[TOLERATED])))


def test_the_names_of_a_matrix_stay_in_their_cells() -> None:
    made = render(report_of([ended("a|b", "c|d", verdict="PASS")]))
    assert [len(row) for row in rows(made)] == [3, 3]
    assert [row[:2] for row in rows(made)] == [[" scenario ", " policy "], [r" `a\|b` ", r" `c\|d` "]]


def test_errors_of_selinux_are_a_section() -> None:
    error = {"kind": "setxattr", "meaning": "A label is unknown.", "text": "op=setxattr"}
    bare = {"kind": "setxattr", "meaning": "It is odd."}
    made = render(report(document(selinux_errors=[error, bare])))
    section = made.partition("### SELinux errors\n")[2].splitlines()
    assert section == ["", "- `A label is unknown. op=setxattr`", "- `It is odd.`"]


@pytest.mark.parametrize(("count", "more"), [(ROWS - 1, 0), (ROWS, 0), (ROWS + 1, 1)])
def test_only_a_table_that_is_too_long_is_cut(count: int, more: int) -> None:
    denials = [DENIAL | {"target": f"t{number}_t"} for number in range(count)]
    made = render(report(document(denials=denials)))
    assert made.count("| `web_t` |") == min(count, ROWS)
    assert made.count(f"\n{more} more: `selab show 20261123-220000-abcd`") == (more > 0)


def test_each_of_several_containers_is_listed() -> None:
    text = render(report(document(**SEVERAL)))
    assert "| `front` | `web` | `system_u:system_r:web_t:s0:c1,c2` |" in text
    assert "| `log` | `none` | `system_u:system_r:none_t:s0:c1,c2` |" in text


def test_a_denial_names_the_containers_that_it_concerns() -> None:
    assert "`back, front: apache2 src=80`" in render(report(document(**SEVERAL)))
