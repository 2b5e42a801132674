"""Blocks that are inherited in two ways: what they declare is declared once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language import cil_inherit
from selab.policy.language.cil_inherit import with_single_declarations
from selab.policy.language.cil_source import parse, walk

BOX = "(block box\n    (type process)\n    (allow process etc_t (file (read))))\n"
LOGS = "(block logs (blockinherit box) (allow process log_t (dir (search))))\n"
WEB = "(block web (blockinherit box)\n(blockinherit logs))\n"
NAMES = st.sampled_from(["a", "b", "c", "d"])


def single(**texts: str) -> dict[str, str]:
    return with_single_declarations(texts, {name: parse(text) for name, text in texts.items()})


def test_what_a_shared_block_declares_moves_into_each_heir() -> None:
    changed = single(box=BOX, logs=LOGS, web=WEB)
    assert changed["box"].splitlines() == [
        "(block box",
        "                  ",
        "    (allow process etc_t (file (read)))) (in after box (type process)) "
        "(in after logs (type process)) (in after web (type process))",
    ]
    assert (changed["logs"], changed["web"]) == (LOGS, WEB)


@pytest.mark.parametrize(
    "texts",
    [
        {"box": BOX, "web": "(block web (blockinherit box))"},
        {"box": BOX, "logs": LOGS, "web": "(block web (blockinherit logs))"},
        {"box": BOX, "web": "(block web (blockinherit missing) (blockinherit missing))"},
        {
            "box": "(block box (allow a b (file (read))))",
            "web": "(block web (blockinherit box)(blockinherit box))",
        },
        {"web": "(block a (blockinherit b) (type x)) (block b (blockinherit a) (blockinherit a))"},
        {"web": "(block) (block web (blockinherit) (blockinherit))"},
    ],
    ids=["once", "in a row", "unknown", "nothing declared", "a circle", "without names"],
)
def test_texts_in_which_nothing_is_declared_twice_stay_as_they_are(texts: dict[str, str]) -> None:
    assert single(**texts) == texts


def test_a_block_that_is_inherited_twice_by_one_block_is_shared() -> None:
    changed = single(box=BOX, web="(block web (blockinherit box) (blockinherit box))")
    assert changed["box"].endswith("(in after box (type process)) (in after web (type process))\n")


def test_the_nearest_block_of_a_name_is_inherited() -> None:
    inner = "(block box (type own)) (block web (blockinherit box) (blockinherit box))"
    changed = single(web=f"(block outer {inner})", box=BOX)
    assert changed["box"] == BOX
    assert "(in after outer.box (type own)) (in after outer.web (type own))" in changed["web"]


def test_more_than_so_many_statements_are_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cil_inherit, "MAX_ADDED", 2)
    texts = {"box": BOX, "logs": LOGS, "web": WEB}
    assert single(**texts) == texts


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=4))
def test_the_statements_that_are_not_moved_keep_their_lines(inherited: dict[str, list[str]]) -> None:
    text = "\n".join(
        f"(block {name}\n(type t)\n(role r)\n" + "\n".join(f"(blockinherit {each})" for each in names) + ")"
        for name, names in inherited.items()
    )
    (changed,) = single(web=text).values()
    unmoved = [
        (each.line, each.words) for each in walk(parse(changed)) if each.keyword in ("role", "blockinherit")
    ]
    assert unmoved == [
        (each.line, each.words) for each in walk(parse(text)) if each.keyword in ("role", "blockinherit")
    ]
