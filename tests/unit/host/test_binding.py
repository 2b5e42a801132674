"""Tests that selab uses only state that this user made in this directory on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host import binding
from selab.host.binding import ADOPT, machine_id, state_directory


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "_verified", set())


def aside(path: Path) -> list[Path]:
    return list(path.parent.glob(".selab.foreign-*"))


def foreign(path: Path) -> Path:
    path.mkdir()
    (path / "vm.json").write_text("{}")
    return path


def test_a_state_of_a_repository_is_set_aside_whole(tmp_path: Path) -> None:
    path = state_directory(foreign(tmp_path / ".selab"))
    assert [name.name for name in path.iterdir()] == ["owner"]
    assert [(each / "vm.json").read_text() for each in aside(path)] == ["{}"]


def test_the_user_learns_where_a_foreign_state_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = state_directory(foreign(tmp_path / ".selab"))
    assert str(aside(path)[0]) in capsys.readouterr().err


def test_own_state_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state_directory(tmp_path / ".selab") / "vm.json").touch()
    monkeypatch.setattr(binding, "_verified", set())
    assert (state_directory(tmp_path / ".selab") / "vm.json").exists()


def test_a_moved_project_keeps_its_state(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (state_directory(tmp_path / "old" / ".selab") / "vm.json").touch()
    (tmp_path / "old").rename(tmp_path / "new")
    assert (state_directory(tmp_path / "new" / ".selab") / "vm.json").exists()


def test_a_copied_state_is_set_aside(tmp_path: Path) -> None:
    state_directory(tmp_path / ".selab")
    shutil.copytree(tmp_path / ".selab", tmp_path / "copy" / ".selab")
    assert aside(state_directory(tmp_path / "copy" / ".selab"))


def test_a_state_of_another_key_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_directory(tmp_path / ".selab")
    monkeypatch.setattr(binding, "_verified", set())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert aside(state_directory(tmp_path / ".selab"))


def test_the_user_can_adopt_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADOPT, "1")
    assert (state_directory(foreign(tmp_path / ".selab")) / "vm.json").exists()


def test_a_link_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADOPT, "1")
    (tmp_path / ".selab").symlink_to(foreign(tmp_path / "target"))
    assert not state_directory(tmp_path / ".selab").is_symlink()


def test_a_state_that_cannot_be_renamed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(SelabError, match="cannot be renamed"):
        state_directory(foreign(tmp_path / ".selab"))


def test_another_users_state_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_directory(tmp_path / ".selab")
    real = os.geteuid()
    monkeypatch.setattr(binding, "_is_ours", lambda status: status.st_uid == real + 1)
    assert not binding._matches(tmp_path / ".selab", (tmp_path / ".selab").lstat())


def test_the_key_is_private(tmp_path: Path) -> None:
    state_directory(tmp_path / ".selab")
    key = Path(os.environ["XDG_STATE_HOME"], "selab", "state.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "\n", "uninitialized\n"])
def test_an_empty_machine_id_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: text)
    assert machine_id() == socket.gethostname()
