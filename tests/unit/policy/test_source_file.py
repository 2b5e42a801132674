"""A policy source is read and written byte for byte, and no earlier text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.policy.source_file import rewrite, source, write_source


@pytest.fixture
def te(tmp_path: Path) -> Path:
    path = tmp_path / "web.te"
    path.write_text("old\n")
    path.chmod(0o640)
    return path


@pytest.mark.parametrize("data", [b"a\r\nb\r", b"\xff\xfe latin \xe9\n", "größe\n".encode(), b""])
def test_every_byte_is_written_back(te: Path, data: bytes) -> None:
    te.write_bytes(data)
    write_source(te, source(te))
    assert te.read_bytes() == data


def test_the_earlier_text_is_kept_beside_the_new_one(te: Path) -> None:
    backup = rewrite(te, "old\n", "new\n")
    assert (te.read_text(), backup and backup.read_text()) == ("new\n", "old\n")


def test_an_earlier_backup_is_not_overwritten(te: Path) -> None:
    backups = [rewrite(te, f"{old}\n", f"{new}\n") for old, new in (("old", "new"), ("new", "newer"))]
    assert [backup and backup.read_text() for backup in backups] == ["old\n", "new\n"]


def test_a_rewritten_policy_keeps_its_mode(te: Path) -> None:
    rewrite(te, "old\n", "new\n")
    assert te.stat().st_mode & 0o777 == 0o640


def test_without_a_change_nothing_is_written(te: Path) -> None:
    assert rewrite(te, "old\n", "old\n") is None
    assert [path.name for path in te.parent.iterdir()] == ["web.te"]


def test_a_policy_that_was_changed_meanwhile_stays(te: Path) -> None:
    with pytest.raises(InputError, match="changed"):
        rewrite(te, "older\n", "new\n")
    assert te.read_text() == "old\n"
