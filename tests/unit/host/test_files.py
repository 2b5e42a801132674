"""The small JSON files in which selab remembers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.host.files import read_json, to_json, write_json


@pytest.mark.parametrize("text", [None, "", "{", "[]", "1", "null", "[" * 100_000, "\xff"])
def test_a_file_that_holds_no_object_counts_as_empty(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x.json").write_text(text, encoding="latin-1")
    assert read_json(tmp_path / "x.json") == {}


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, "ü"]})
    assert read_json(tmp_path / "x.json") == {"a": [1, "ü"]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_file_stays_whole_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["##[error]", "a ## b", "\x1b[31m", "ü"])
def test_json_for_programs_has_nothing_that_a_terminal_or_ci_acts_on(text: str) -> None:
    shown = to_json([text])
    assert json.loads(shown) == [text]
    assert shown.isascii() and "##" not in shown and "\x1b" not in shown
