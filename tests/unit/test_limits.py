"""docs/reference/limits.md agrees with the constants that it names."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"
ROW = re.compile(r"\| (?P<what>[^|]+) \| (?P<limit>[^|]+) \| `(?P<constant>[\w.]+)` \| (?P<result>[^|]+) \|")
UNITS = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20}
ROWS = [match.groupdict() for match in ROW.finditer(PAGE.read_text())]


def value(constant: str) -> Any:
    """Return the value of a constant by its full name, which may end with an attribute."""
    module, name, attributes = re.fullmatch(r"([a-z_.]+)\.([A-Z_]+)(.*)", constant).groups()  # type: ignore[union-attr]
    return reduce(getattr, attributes.split(".")[1:], getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("row", ROWS, ids=[row["constant"] for row in ROWS])
def test_a_limit_is_that_of_the_code(row: dict[str, str]) -> None:
    number, _, unit = row["limit"].partition(" ")
    assert int(number) * UNITS[unit] == value(row["constant"])


def test_every_row_of_the_table_was_read() -> None:
    assert len(ROWS) == PAGE.read_text().count("\n| ") - 1  # without the headings
