"""Tests that selab uses only state that this user made in this directory on this machine."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host import binding
from selab.host.binding import ADOPT, is_bound, machine_id, state_directory


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


def test_a_directory_is_bound_if_it_is_absent_empty_or_this_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    state_directory(tmp_path / "own")
    foreign(tmp_path / "foreign")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    names = ("absent", "empty", "own", "foreign", "link")
    assert [name for name in names if is_bound(tmp_path / name)] == ["absent", "empty", "own"]
    monkeypatch.setenv(ADOPT, "1")
    assert is_bound(tmp_path / "foreign")


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


@pytest.mark.parametrize("name", ["key", "policy/linked", "vms", "vms/debian13-1"])
def test_a_state_with_a_link_is_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(ADOPT, "1")
    link = foreign(tmp_path / ".selab") / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    with pytest.raises(SelabError, match="cannot be adopted"):
        state_directory(tmp_path / ".selab")


def test_a_state_with_a_pipe_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADOPT, "1")
    os.mkfifo(foreign(tmp_path / ".selab") / "key")
    with pytest.raises(SelabError, match="cannot be adopted"):
        state_directory(tmp_path / ".selab")


def test_what_was_refused_is_refused_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADOPT, "1")
    (foreign(tmp_path / ".selab") / "key").symlink_to(tmp_path)
    for _ in range(2):
        with pytest.raises(SelabError, match="cannot be adopted"):
            state_directory(tmp_path / ".selab")


def test_a_link_in_the_project_of_a_slot_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADOPT, "1")
    slot = foreign(tmp_path / ".selab") / "vms" / "debian13-1"
    slot.mkdir(parents=True)
    (slot / "policies").symlink_to("other")
    assert (state_directory(tmp_path / ".selab") / "vm.json").exists()


OTHER = 65534
"""The id of a user who exists on every machine."""


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a directory in which every user can write, unlike in pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def make_as_other_user(path: Path) -> None:
    """Make the state directory `path` in a process of another user, who has a key of their own.

    A forked process could wait for ever for a lock that a thread of this one holds.
    """
    child = multiprocessing.get_context("spawn").Process(target=_become_other_user, args=(path,), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert path.stat().st_uid == OTHER


def _become_other_user(path: Path) -> None:
    os.setgid(OTHER)
    os.setuid(OTHER)
    os.environ["XDG_STATE_HOME"] = str(path.parent / "home")
    state_directory(path)


@pytest.mark.program
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("adopt", ["0", "1"])
def test_what_another_user_made_is_set_aside(
    shared: Path, monkeypatch: pytest.MonkeyPatch, adopt: str
) -> None:
    make_as_other_user(shared / ".selab")
    monkeypatch.setenv(ADOPT, adopt)
    state_directory(shared / ".selab")
    owners = [path.stat().st_uid for path in (shared / ".selab", *aside(shared / ".selab"))]
    assert owners == [os.geteuid(), OTHER]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_directory_given_to_another_user_is_not_used_any_more(shared: Path) -> None:
    """The process has verified it before."""
    state_directory(shared / ".selab")
    os.chown(shared / ".selab", OTHER, OTHER)
    assert aside(state_directory(shared / ".selab"))


def test_a_state_that_cannot_be_renamed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(SelabError, match="cannot be renamed") as caught:
        state_directory(foreign(tmp_path / ".selab"))
    assert "Permission denied" in caught.value.detail and str(tmp_path / ".selab") in caught.value.hint


def test_the_name_of_a_foreign_directory_cannot_act_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x\x1b[31m").mkdir()
    state_directory(foreign(tmp_path / "x\x1b[31m" / ".selab"))
    text = capsys.readouterr().err
    assert "x?[31m" in text and "\x1b" not in text


def test_another_users_state_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_directory(tmp_path / ".selab")
    real = os.geteuid()
    monkeypatch.setattr(binding, "_is_ours", lambda status: status.st_uid == real + 1)
    assert not binding._matches(tmp_path / ".selab", (tmp_path / ".selab").lstat())


def test_the_key_is_private(tmp_path: Path) -> None:
    state_directory(tmp_path / ".selab")
    key = Path(os.environ["XDG_STATE_HOME"], "selab", "state.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_machine_id_is_that_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"/etc/machine-id": "0123456789abcdef\n"}
    monkeypatch.setattr(Path, "read_text", lambda path: texts[str(path)])
    assert machine_id() == "0123456789abcdef"


@pytest.mark.parametrize("text", ["", "\n", "uninitialized\n"])
def test_an_empty_machine_id_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: text)
    assert machine_id() == socket.gethostname()
