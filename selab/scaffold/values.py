"""Take plain values out of parsed YAML and JSON, whose shape has not been checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def scalar(value: Any) -> str:
    """Return a single value as text. Raises ValueError for other values."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise ValueError("it is not a single value")
    return str(value)


def fields_of(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the object at the path `keys` of an object, or an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list, or none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
