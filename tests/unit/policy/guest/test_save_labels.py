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
    """A directory whose files are labelled by their own names; the file `bare` has no label.

    It contains a link to a directory outside.
    """

    def getxattr(path: str, name: str, *, follow_symlinks: bool) -> bytes:
        assert (name, follow_symlinks) == ("security.selinux", False)
        if Path(path).name == "bare":
            raise OSError
        return f"u:r:{Path(path).name}_t:s0".encode("ascii", "ignore")

    monkeypatch.setattr(os, "getxattr", getxattr)
    place = tmp_path / "srv"
    (place / "web").mkdir(parents=True)
    for name in ("web/page", "bare"):
        (place / name).touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (place / "link").symlink_to(tmp_path / "outside")
    return place


PROGRAM = Path(selab.__file__).parent / "policy" / "guest" / "save_labels.py"


def save(state: Path, limit: int, monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["-c", str(state), str(limit), *map(str, places)])
    runpy.run_path(str(PROGRAM))


def test_each_label_below_a_place_is_saved(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "labels.json", 4, monkeypatch, place)
    assert json.loads((tmp_path / "labels.json").read_text()) == {
        str(path): f"u:r:{path.name}_t:s0"
        for path in (place, place / "web", place / "web" / "page", place / "link")
    }


def test_more_files_than_the_limit_save_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="more than 3"):
        save(tmp_path / "labels.json", 3, monkeypatch, place)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "outside", place]


def test_the_labels_of_all_places_are_saved(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / os.fsdecode(b"\xe9")
    odd.touch()
    save(tmp_path / "labels.json", 4, monkeypatch, place / "web", odd)
    text = (tmp_path / "labels.json").read_text(errors="surrogateescape")
    assert set(json.loads(text)) == {str(place / "web"), str(place / "web" / "page"), str(odd)}


def test_a_file_of_labels_is_written_whole_or_not_at_all(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "labels.json"
    state.write_text("before")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(state, 4, monkeypatch, place)
    assert state.read_text() == "before"
