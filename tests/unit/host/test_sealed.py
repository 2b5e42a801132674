"""Tests that selab believes a file of `.selab` only if selab wrote it for this user."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selab.host.sealed import SEAL, read_sealed, write_sealed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=3), values, max_size=2),
    max_leaves=4,
)


@settings(
    max_examples=min(50, settings().max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_what_was_written_is_read(data: dict[str, object], tmp_path: Path) -> None:
    """No key has as many characters as SEAL, which cannot be a key of the data."""
    path = tmp_path / "guest.json"
    write_sealed(path, data)
    assert read_sealed(path) == data


@pytest.mark.parametrize(
    "change", [{"port": 23}, {"more": 1}, {SEAL: "0" * 64}, {SEAL: None}, {SEAL: "é"}], ids=str
)
def test_a_changed_file_is_not_read(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "guest.json"
    write_sealed(path, {"port": 22})
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert read_sealed(path) == {}


def test_a_file_with_the_seal_of_another_name_is_not_read(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.json", {"port": 22})
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert read_sealed(tmp_path / "b.json") == {}


def test_a_file_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sealed(tmp_path / "a.json", {"port": 22})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    assert read_sealed(tmp_path / "a.json") == {}
