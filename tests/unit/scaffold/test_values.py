"""Plain values of YAML and JSON, whose shape has not been checked."""

from __future__ import annotations

from typing import Any

import pytest

from selab.scaffold.values import fields_of, objects_of, scalar


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (80, "80"), (0.5, "0.5"), (True, "true"), ("", "")])
def test_a_single_value_is_text(value: Any, text: str) -> None:
    assert scalar(value) == text


@pytest.mark.parametrize("value", [None, [], ["a"], {}, {"a": 1}])
def test_another_value_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="it is not a single value"):
        scalar(value)


@pytest.mark.parametrize(
    ("value", "fields"),
    [({"a": {"b": {"c": 1}}}, {"c": 1}), ({"a": {"b": [1]}}, {}), ({"a": "b"}, {}), ([], {}), (None, {})],
)
def test_an_object_at_a_path_is_returned_or_an_empty_one(value: Any, fields: dict[str, Any]) -> None:
    assert fields_of(value, "a", "b") == fields


@pytest.mark.parametrize(("value", "objects"), [([{"a": 1}, "b", [], {}], [{"a": 1}, {}]), ({"a": 1}, [])])
def test_only_the_objects_of_a_list_are_returned(value: Any, objects: list[dict[str, Any]]) -> None:
    assert objects_of(value) == objects
