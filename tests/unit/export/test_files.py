"""An export is written completely or not at all, and replaces nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.export.files import ExportedFile, write_new

FILES = [ExportedFile("web.te", b"a"), ExportedFile("tree/bin/install", b"b", 0o755)]


def test_the_files_have_their_content_and_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_new(tmp_path / "new" / "out", FILES)
    finally:
        os.umask(before)
    out = tmp_path / "new" / "out"
    paths = [out, *sorted(out.rglob("*"))]
    assert {str(path.relative_to(out)): oct(path.stat().st_mode & 0o7777) for path in paths} == {
        ".": "0o755",
        "tree": "0o755",
        "tree/bin": "0o755",
        "tree/bin/install": "0o755",
        "web.te": "0o644",
    }
    assert [(out / file.path).read_bytes() for file in FILES] == [b"a", b"b"]


def test_an_existing_file_stays_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/bin/install").write_text("mine")
    with pytest.raises(InputError, match="install already exists") as caught:
        write_new(tmp_path, FILES)
    assert "-o" in caught.value.hint
    assert caught.value.detail == str(tmp_path / "tree/bin/install")
    assert not (tmp_path / "web.te").exists()
    assert (tmp_path / "tree/bin/install").read_text() == "mine"


def test_a_link_in_the_place_of_a_file_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "web.te").symlink_to(tmp_path / "absent")
    with pytest.raises(InputError, match="already exists"):
        write_new(tmp_path, FILES)
    assert not (tmp_path / "absent").exists()


def test_a_link_that_leads_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/tree").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="The directory of install is outside of"):
        write_new(tmp_path / "out", FILES)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["out", "out/tree"])
def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="is not a directory") as caught:
        write_new(tmp_path / "out", FILES)
    assert (caught.value.detail, "-o" in caught.value.hint) == (str(tmp_path / name), True)
    assert (tmp_path / name).read_text() == "mine"


def test_a_failure_to_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, mode: int) -> None:
        if mode == 0o755:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(SelabError, match="cannot be written") as caught:
        write_new(tmp_path / "out", FILES)
    assert "No space left" in caught.value.detail
    assert list(tmp_path.iterdir()) == []
