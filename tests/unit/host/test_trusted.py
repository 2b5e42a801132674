"""What the user allowed, and whose a project is."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host import trusted
from selab.project import find_project

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
OTHER = 12345


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A project directory of another user."""
    root = tmp_path / "theirs"
    (root / "below").mkdir(parents=True)
    (root / "selab.yaml").write_text("")
    return root


@ROOT_ONLY
@pytest.mark.parametrize("path", [".", "selab.yaml"])
def test_a_project_of_another_user_is_refused(theirs: Path, path: str) -> None:
    os.chown(theirs / path, OTHER, OTHER)
    with pytest.raises(SelabError, match="belongs to another user"):
        find_project(theirs)


@ROOT_ONLY
def test_it_is_refused_before_its_file_is_read(theirs: Path) -> None:
    (theirs / "selab.yaml").write_text("not: [valid")
    os.chown(theirs, OTHER, OTHER)
    with pytest.raises(SelabError, match="belongs to another user"):
        find_project(theirs)


@ROOT_ONLY
def test_it_is_refused_if_it_is_above_the_directory(theirs: Path) -> None:
    os.chown(theirs, OTHER, OTHER)
    with pytest.raises(SelabError, match="belongs to another user"):
        find_project(theirs / "below")


@ROOT_ONLY
def test_a_link_to_another_users_file_is_refused(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("")
    os.chown(tmp_path / "other.yaml", OTHER, OTHER)
    (theirs / "selab.yaml").unlink()
    (theirs / "selab.yaml").symlink_to(tmp_path / "other.yaml")
    with pytest.raises(SelabError, match="belongs to another user"):
        find_project(theirs)


@ROOT_ONLY
def test_the_hint_is_a_command_that_allows_it(theirs: Path) -> None:
    os.chown(theirs, OTHER, OTHER)
    with pytest.raises(SelabError) as caught:
        find_project(theirs)
    assert f"selab trust {shlex.quote(str(theirs))}" in caught.value.hint


@ROOT_ONLY
def test_an_allowed_directory_is_used(theirs: Path) -> None:
    os.chown(theirs, OTHER, OTHER)
    trusted.allow_directory(theirs)
    assert find_project(theirs).root == theirs


@ROOT_ONLY
def test_root_trusts_the_user_who_called_sudo(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(theirs, OTHER, OTHER)
    monkeypatch.setenv("SUDO_UID", str(OTHER))
    assert find_project(theirs).root == theirs


def test_ones_own_project_is_used(theirs: Path) -> None:
    assert find_project(theirs / "below").root == theirs


@pytest.mark.parametrize(
    ("name", "directories", "digests"),
    [("/srv/lab", [], {"abcdef": "a box"}), ("abcd", ["/srv/lab"], {}), ("abcdef", ["/srv/lab"], {})],
)
def test_what_was_allowed_is_forgotten(name: str, directories: list[str], digests: dict[str, str]) -> None:
    trusted.allow("abcdef", "a box")
    trusted.allow_directory(Path("/srv/lab"))
    assert trusted.forget(name)
    assert (trusted.directories(), trusted.digests()) == (directories, digests)


def test_an_empty_name_forgets_nothing() -> None:
    """Every digest begins with it."""
    trusted.allow("abcdef", "a box")
    assert not trusted.forget("")
    assert trusted.digests() == {"abcdef": "a box"}


def test_the_record_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trusted.allow("abcdef", "a box")
    directory = tmp_path / "config" / "selab"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "trusted.json")] == [
        0o700,
        0o600,
    ]


def test_a_record_that_cannot_be_written_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trusted, "write_private", refused)
    with pytest.raises(SelabError, match="cannot be recorded") as caught:
        trusted.allow("abcdef", "a box")
    assert "Permission denied" in caught.value.detail and "XDG_CONFIG_HOME" in caught.value.hint


def test_what_was_never_allowed_cannot_be_forgotten() -> None:
    assert not trusted.forget("/srv/lab")


@pytest.mark.parametrize("text", ["", "[]", '{"directories": 1, "digests": []}', "{", "\x00"])
def test_a_damaged_record_allows_nothing(text: str) -> None:
    trusted.record_path().parent.mkdir(parents=True)
    trusted.record_path().write_text(text)
    assert (trusted.directories(), trusted.digests()) == ([], {})
