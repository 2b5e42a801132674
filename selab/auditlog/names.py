"""Read the tables of record types and fields beside this file."""

from __future__ import annotations

import functools
from pathlib import Path


def _table(file: str) -> list[list[str]]:
    lines = Path(__file__).with_name(file).read_text(encoding="ascii").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


@functools.cache
def type_names() -> dict[str, str]:
    """Return the names of record types by their number, as text."""
    return {row[0]: row[1] for row in _table("record_types.txt")}


DESCRIBING_TYPES = frozenset(row[1] for row in _table("record_types.txt") if row[2:] == ["describes"])
"""Records of these types describe an event further and mean nothing by themselves."""
ENCODED_FIELDS = frozenset(name for name, use in _table("field_names.txt") if use == "encoded")
"""The values of these fields may be in hex."""
DETAIL_FIELDS = frozenset(name for name, use in _table("field_names.txt") if use == "detail")
"""These fields of a denial describe its object beyond the path."""
