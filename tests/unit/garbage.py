"""Garbage that a guest may answer, and how selab must report it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

GARBAGE: dict[str, Callable[[str], str]] = {
    "not UTF-8": lambda valid: b"\xff\xfe\x80".decode(errors="surrogateescape") + valid,
    "negative numbers": lambda valid: valid.replace(" ", " -"),
    "cut JSON": lambda valid: '{"State": {"Pid": 12, "Sta',
    "wrong order": lambda valid: "".join(
        f"{' '.join(reversed(line.split()))}\n" for line in valid.split("\n")
    ),
    "empty": lambda valid: "",
    "huge numbers": lambda valid: f"pid {'9' * 5000}\nenabled {'9' * 5000}\n",
    "NUL bytes": lambda valid: valid.replace(" ", "\0"),
    "deep nesting": lambda valid: "[" * 100_000,
    "duplicate keys": lambda valid: valid * 2,
    "wrong types": lambda valid: "pid None\nenabled []\nlabel {}\n",
}


def sample(cases: Iterable[Sequence[str]]) -> list[Any]:
    """Return the cases of a matrix with ten kinds of garbage; `make unit FAST=1` leaves out the marked ones.

    It runs each eleventh case, and thus the first query with the first kind, the second with the second.
    """
    return [
        pytest.param(*case, marks=pytest.mark.hostile if number % 11 else ())
        for number, case in enumerate(cases)
    ]


Part = tuple[str, str]
"""What one of several scripts printed, and its exit code."""
ROUND_TRIPS: dict[str, Callable[[Sequence[Part]], Sequence[Part]]] = {
    "the first part is missing": lambda parts: parts[1:],
    "the last part is missing": lambda parts: parts[:-1],
    "every part is missing": lambda parts: (),
    "reversed order": lambda parts: parts[::-1],
    "the output of the next part": lambda parts: [
        (output, code) for (output, _), (_, code) in zip([*parts[1:], parts[0]], parts, strict=True)
    ],
    "a part too many": lambda parts: [*parts, parts[-1]],
    "a failed part before others": lambda parts: [(parts[0][0], "77"), *parts[1:]],
    "an exit code that is no number": lambda parts: [(parts[0][0], "zero"), *parts[1:]],
    "an exit code that no process has": lambda parts: [(parts[0][0], "999"), *parts[1:]],
}
"""Garbage of a whole round trip: which parts it has instead of the right ones."""


def spoiled_round_trip(token: str, whole: str, garbage: Callable[[Sequence[Part]], Sequence[Part]]) -> str:
    """Return the answer `whole`, whose parts end with `token`, with other parts."""
    parts: list[Part] = re.findall(rf"(.*?){re.escape(token)} (\d+)\n", whole, re.DOTALL)
    return "".join(f"{output}{token} {code}\n" for output, code in garbage(parts))


def assert_three_lines(errors: str) -> None:
    """Check that standard error ends with what happened, and then with a detail, a hint or both."""
    assert "Traceback" not in errors and "selab has a fault" not in errors, errors
    lines = errors.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    assert len(starts) == 1, errors
    details = lines[starts[0] + 1 :]
    assert 1 <= len(details) <= 2 and all(re.match(r"  \S", line) for line in details), errors
