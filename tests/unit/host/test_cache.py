"""What several processes share in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host.cache import alone
from tests.unit.fakes import Notes


def test_who_waits_too_long_is_told_for_whom(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "x", 1, "counting"),
        pytest.raises(SelabError, match="still counting"),
        alone(tmp_path / "x", 0.1, "counting"),
    ):
        pass


def test_who_waits_says_so(tmp_path: Path) -> None:
    notes = Notes()
    with (
        alone(tmp_path / "x", 1, ""),
        pytest.raises(SelabError),
        alone(tmp_path / "x", 0.1, "counting", notes),
    ):
        pass
    (note,) = notes.notes
    assert "counting" in note


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(tmp_path / "x", 1, ""):
        raise KeyError
    with alone(tmp_path / "x", 0.1, ""):
        pass
