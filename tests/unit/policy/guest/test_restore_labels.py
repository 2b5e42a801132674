"""The program that restores the labels of the guest's files after a run."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

import selab

PROGRAM = Path(selab.__file__).parent / "policy" / "guest" / "restore_labels.py"
BEFORE, CHANGED = "u:object_r:before_t:s0", "u:object_r:candidate_t:s0"


class Labels(dict[str, str]):
    """The labels of the files that exist. `written` are the files whose label was set."""

    def __init__(self, *files: str) -> None:
        super().__init__(dict.fromkeys(files, CHANGED))
        self.written: list[str] = []
        self.refused = ""

    def getxattr(self, path: str, name: str, *, follow_symlinks: bool) -> bytes:
        assert (name, follow_symlinks) == ("security.selinux", False)
        if path not in self:
            raise FileNotFoundError(path)
        return self[path].encode()

    def setxattr(self, path: str, name: str, value: bytes, *, follow_symlinks: bool) -> None:
        assert (name, follow_symlinks) == ("security.selinux", False)
        if path == self.refused:
            raise PermissionError(path)
        self.written.append(path)
        self[path] = value.decode()


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> Labels:
    """The labels of two files, which a run has changed."""
    labels = Labels("/srv/a", "/srv/\udcff")
    monkeypatch.setattr(os, "getxattr", labels.getxattr)
    monkeypatch.setattr(os, "setxattr", labels.setxattr)
    return labels


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The saved labels, of which those of one file are from before it was removed."""
    path = tmp_path / "labels.json"
    text = json.dumps(dict.fromkeys(("/srv/removed", "/srv/a", "/srv/\udcff"), BEFORE), ensure_ascii=False)
    path.write_text(text, errors="surrogateescape")
    monkeypatch.setattr(sys, "argv", ["-c", str(path)])
    return path


def test_each_file_that_is_still_there_gets_its_label_back(labels: Labels, saved: Path) -> None:
    runpy.run_path(str(PROGRAM))
    assert labels == {"/srv/a": BEFORE, "/srv/\udcff": BEFORE}
    assert not saved.exists()


def test_a_file_that_has_its_label_is_left_alone(labels: Labels, saved: Path) -> None:
    labels["/srv/a"] = BEFORE
    runpy.run_path(str(PROGRAM))
    assert labels.written == ["/srv/\udcff"]


def test_labels_that_could_not_be_restored_stay_saved(labels: Labels, saved: Path) -> None:
    labels.refused = "/srv/a"
    with pytest.raises(PermissionError):
        runpy.run_path(str(PROGRAM))
    assert saved.exists()
