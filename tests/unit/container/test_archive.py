"""What is packed for a container: no links or special files, no more than the limit, and root owns it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from selab.container import archive
from selab.container.archive import packed
from selab.errors import InputError


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def names(source: Path | None, name: str = "") -> list[str]:
    return [member.name for member in members(packed(source, name))]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "below").mkdir(parents=True)
    (directory / "below" / "page").write_text("works")
    return directory


@pytest.mark.parametrize("name", ["", "web"])
def test_links_and_special_files_are_left_out(directory: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("swordfish")
    (directory / "directory").symlink_to(tmp_path / "secret")
    (directory / "file").symlink_to(tmp_path / "secret" / "key")
    os.mkfifo(directory / "pipe")
    inside = ["below", "below/page"]
    assert names(directory, name) == ([name, *(f"{name}/{path}" for path in inside)] if name else inside)


def test_what_is_packed_is_roots(directory: Path) -> None:
    owners = {
        (member.uid, member.gid, member.uname, member.gname) for member in members(packed(directory, "web"))
    }
    assert owners == {(0, 0, "root", "root")}


def test_nothing_makes_an_empty_archive() -> None:
    assert names(None) == []


def test_a_file_gets_the_name_of_its_copy(directory: Path) -> None:
    (member,) = members(packed(directory / "below" / "page", "index.html"))
    assert (member.name, member.isfile(), member.size) == ("index.html", True, 5)


@pytest.mark.parametrize(("size", "ok"), [(5, True), (4, False)])
def test_files_that_are_together_too_large_are_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch, size: int, ok: bool
) -> None:
    (directory / "below" / "page").write_text("wor")
    (directory / "other").write_text("ks")
    monkeypatch.setattr(archive, "MAX_COPY", size)
    if ok:
        assert packed(directory)
    else:
        with pytest.raises(InputError, match="too large"):
            packed(directory)


def test_a_large_file_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(archive.MAX_COPY + 1)
    with pytest.raises(InputError, match="too large") as caught:
        packed(tmp_path / "sparse", "x")
    assert "512 MiB" in caught.value.detail


def test_a_file_that_cannot_be_read_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tarfile.TarFile, "add", refuse)
    with pytest.raises(InputError, match="cannot be read") as caught:
        packed(directory / "below" / "page", "x")
    assert caught.value.detail == f"{directory / 'below' / 'page'}: Permission denied"
