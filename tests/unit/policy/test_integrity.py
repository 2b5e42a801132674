"""A cached file is used only if it is the file that was stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.policy.integrity import digests, is_unchanged, read_with_digest, write_with_digest


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    for name in ("devel/a.if", "devel/b/c.if", "flat.cil", "cil/x.cil"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_that_are_as_they_were_are_unchanged(stored: Path) -> None:
    assert is_unchanged(stored, digests(stored), ["devel", "flat.cil"])


@pytest.mark.parametrize("name", ["devel/b/c.if", "flat.cil"])
def test_content_counts_and_not_the_size_or_time(stored: Path, name: str) -> None:
    recorded, path = digests(stored), stored / name
    stat = path.stat()
    path.write_bytes(b"#" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not is_unchanged(stored, recorded, ["devel", "flat.cil"])


@pytest.mark.parametrize("name", ["devel/b/c.if", "flat.cil"])
def test_a_missing_file_is_a_change(stored: Path, name: str) -> None:
    recorded = digests(stored)
    (stored / name).unlink()
    assert not is_unchanged(stored, recorded, ["devel", "flat.cil"])


def test_one_more_file_is_a_change(stored: Path) -> None:
    recorded = digests(stored)
    (stored / "devel" / "more").touch()
    assert not is_unchanged(stored, recorded, ["devel", "flat.cil"])


def test_a_link_to_the_same_content_is_a_change(stored: Path) -> None:
    recorded, path = digests(stored), stored / "devel" / "a.if"
    path.rename(stored / "elsewhere")
    path.symlink_to(stored / "elsewhere")
    assert not is_unchanged(stored, recorded, ["devel"])


def test_a_part_that_is_not_asked_for_is_not_read(stored: Path) -> None:
    recorded = digests(stored)
    (stored / "cil" / "x.cil").write_text("y")
    assert is_unchanged(stored, recorded, ["devel"]) and not is_unchanged(stored, recorded, ["cil"])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_with_digest(b"x", tmp_path / "file")
    assert read_with_digest(tmp_path / "file") == b"x"


@pytest.mark.parametrize("name", ["file", "file.sha256"])
def test_what_was_changed_is_not_read(tmp_path: Path, name: str) -> None:
    write_with_digest(b"x", tmp_path / "file")
    (tmp_path / name).write_bytes(b"y")
    assert read_with_digest(tmp_path / "file") is None


def test_what_has_no_digest_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert read_with_digest(tmp_path / "file") is None
