"""Variables of a Compose file are replaced by their defaults, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.compose.interpolation import defaulted, interpolate


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${A:-x}", "x"),
        ("${A-x}y", "xy"),
        ("${A:-}", ""),
        ("${A:-${B:-x}}", "x"),
        ("${A:-a${B-b}c}d", "abcd"),
        ("${A:+x}y", "y"),
        ("${A+${B}}y", "y"),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("5$", "5$"),
        ("$1", "$1"),
        ("a}b", "a}b"),
        ("postgres://${U:-me}@db:${P:-1}", "postgres://me@db:1"),
    ],
)
def test_without_values_the_default_counts(text: str, result: str) -> None:
    assert interpolate(text) == result


@pytest.mark.parametrize("text", ["$A", "${A}", "x${A:?no}", "${A?no}", "${B:-${A}}", "${A:-x}${A}"])
def test_a_variable_without_a_default_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="variable A has no value"):
        interpolate(text)


@pytest.mark.parametrize("text", ["${", "${A", "${A:-x", "${}", "${A/b/c}", "${1}", "${A:-" * 20 + "}" * 20])
def test_a_variable_that_is_not_valid_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        interpolate(text)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"a": ["${A:-x}", "${B-${C:-y}}"]}, ["A", "B", "C"]),
        ("$A", []),
        ("${A:+x}", []),
        ("${", []),
        (1, []),
    ],
)
def test_variables_with_a_default_are_listed(value: Any, names: list[str]) -> None:
    assert list(defaulted(value)) == names
