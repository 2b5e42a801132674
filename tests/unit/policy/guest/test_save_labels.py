"""The program that saves the labels of the guest's files before a run changes them."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

import selab


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose files are labelled by their own names; the file `bare` has no label."""

    def getxattr(path: str, name: str, *, follow_symlinks: bool) -> bytes:
        assert (name, follow_symlinks) == ("security.selinux", False)
        if Path(path).name == "bare":
            raise OSError
        return f"u:r:{Path(path).name}_t:s0".encode()

    monkeypatch.setattr(os, "getxattr", getxattr)
    place = tmp_path / "srv"
    (place / "web").mkdir(parents=True)
    for name in ("web/page", "bare"):
        (place / name).touch()
    return place


PROGRAM = Path(selab.__file__).parent / "policy" / "guest" / "save_labels.py"


def save(state: Path, limit: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["-c", str(state), str(limit), str(place)])
    runpy.run_path(str(PROGRAM))


def test_each_label_below_a_place_is_saved(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "labels.json", 100, place, monkeypatch)
    assert json.loads((tmp_path / "labels.json").read_text()) == {
        str(path): f"u:r:{path.name}_t:s0" for path in (place, place / "web", place / "web" / "page")
    }


def test_more_files_than_the_limit_save_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="more than 2"):
        save(tmp_path / "labels.json", 2, place, monkeypatch)
    assert list(tmp_path.iterdir()) == [place]
