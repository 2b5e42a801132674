"""Contexts and levels."""

from __future__ import annotations

import pytest

from selab.auditlog.context import Context, Level, categories, level_range, mcs_separated


def context(level: str, type: str = "container_t") -> Context:
    return Context("system_u", "system_r", type, level)


def test_a_level_keeps_its_colons() -> None:
    assert Context.parse("u:r:t:s0-s0:c0.c1023") == Context("u", "r", "t", "s0-s0:c0.c1023")


def test_a_context_without_a_level_has_an_empty_one() -> None:
    assert Context.parse("u:r:t") == Context("u", "r", "t", "")


@pytest.mark.parametrize("text", ["u:r:t", "u:r:t:s0", "u:r:t:s0-s15:c0.c1023"])
def test_a_context_prints_as_it_was_read(text: str) -> None:
    assert str(Context.parse(text)) == text


@pytest.mark.parametrize("text", ["", "u:r", "u::t", "u:r:t:", "u:r:t t", "kuřecí řízek"])
def test_what_is_no_context_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a security context"):
        Context.parse(text)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("s0", ()),
        ("s0:c1,c2", ((1, 2),)),
        ("s0:c1.c5,c9", ((1, 5), (9, 9))),
        ("s0:c1.c3,c2.c5", ((1, 5),)),
        ("s0:c1.c9,c2", ((1, 9),)),
        ("s0:c2,c1", ((1, 2),)),
        ("s0:c3,c1", ((1, 1), (3, 3))),
        ("s0:c065535", ((65535, 65535),)),
        ("s0:c65536", ()),
        ("s0:c3-s0:c0.c1023", ((3, 3),)),
        ("", ()),
        ("Secret", ()),
    ],
)
def test_categories_are_those_of_the_low_end(level: str, expected: tuple[tuple[int, int], ...]) -> None:
    assert categories(level) == expected


@pytest.mark.parametrize("low", ["s0", "s123456"])
def test_a_level_range_has_two_ends(low: str) -> None:
    assert level_range(f"{low}-s15:c0.c2") == (Level(low), Level("s15", ((0, 2),)))


@pytest.mark.parametrize(
    "level", ["s0:c0.c99999999", "s0:c99999", "s0:c5.c1", "s0:c", "s", "s1234567", "s²", "s0:c1,,c2"]
)
def test_a_malformed_level_is_refused(level: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Level.parse(level)


@pytest.mark.parametrize(
    ("source", "target", "separated"),
    [
        ("s0:c1,c2", "s0:c1,c2", False),
        ("s0:c1,c2", "s0:c3,c4", True),
        ("s0:c1,c2", "s0", False),
        ("s0", "s0:c1,c2", True),
        ("s0-s0:c0.c1023", "s0:c1,c2", False),
        ("s0:c1,c2", "s0:c1", False),
        ("s0:c1,c5,c9", "s0:c9", False),
        ("s0:c1,c5,c9", "s0:c1,c9", False),
        ("s0:c1,c5", "s0:c3", True),
        ("s0:c1,c5", "s0:c7", True),
        ("s0:c3.c7", "s0:c1.c5", True),
        ("s0:c3.c7", "s0:c5.c9", True),
        ("s0:c3.c7", "s0:c3.c7", False),
        ("s0", "s15", True),
        ("", "s0:c1", False),
        ("s0:c1", "s0:zzz", False),
    ],
)
def test_levels_separate_where_the_source_does_not_dominate(
    source: str, target: str, separated: bool
) -> None:
    assert mcs_separated(context(source), context(target, "container_file_t")) is separated
