"""What `.selab` holds is private, whatever mode it had before, and no link in it is followed."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.cli.logfile import logging_to
from selab.errors import SelabError
from selab.history import History
from selab.host import private
from selab.host.files import write_json
from selab.host.private import append_private, make_private, private_file, write_private
from selab.project import Project
from selab.vm.state import State


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The most open umask: nothing may rely on the user's."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def log_line(project: Project) -> Path:
    path = project.state / "selab.log"
    with logging_to(path):
        logging.getLogger("selab").error("a line")
    return path


def add_key(project: Project) -> Path:
    source = project.root / "source"
    source.write_text("-----BEGIN KEY\n-----END-----\n")
    return State(project).keep_key(source)


def replace_key(project: Project) -> Path:
    State(project).replace_key("private", "libvirt")
    return project.state / "key"


def add_password(project: Project) -> Path:
    State(project).keep_password("secret")
    return project.state / "console"


def read_history(project: Project) -> Path:
    path = project.state / "history.sqlite"
    if not path.exists():
        path.touch()
    History.of(project).latest(1)
    return path


WRITERS: list[Callable[[Project], Path]] = [log_line, add_key, replace_key, add_password, read_history]


def test_the_state_directory_is_created_private(project: Project) -> None:
    assert mode(project.state) == 0o700


def test_the_state_directory_becomes_private(project: Project) -> None:
    (project.root / ".selab").mkdir(mode=0o777)
    assert mode(project.state) == 0o700


def test_a_state_directory_that_is_a_link_is_set_aside(project: Project, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    (project.root / ".selab").symlink_to(target)
    assert not project.state.is_symlink()
    assert (mode(target), list(target.iterdir())) == (0o755, [])


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_file_is_created_private(project: Project, write: Callable[[Project], Path]) -> None:
    assert mode(write(project)) == 0o600


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_file_becomes_private(project: Project, write: Callable[[Project], Path]) -> None:
    path = write(project)
    path.chmod(0o666)
    assert mode(write(project)) == 0o600


@pytest.mark.parametrize("name", ["key", "console"])
def test_an_existing_secret_becomes_private_when_the_state_is_read(project: Project, name: str) -> None:
    (project.state / name).touch(mode=0o644)
    State(project)
    assert mode(project.state / name) == 0o600


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
def test_each_file_of_the_history_becomes_private(project: Project, ending: str) -> None:
    path = project.state / "history.sqlite"
    database = sqlite3.connect(path)  # it stays open, or SQLite would remove the other files
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE other (number INTEGER)")
    path.with_name(path.name + ending).chmod(0o666)
    History.of(project).latest(1)
    assert mode(path.with_name(path.name + ending)) == 0o600
    database.close()


def test_vagrants_log_is_private(project: Project) -> None:
    with append_private(State(project).vagrant_log) as file:
        file.write("a line\n")
    assert mode(project.state / "vagrant.log") == 0o600


@pytest.mark.parametrize("write", [log_line, read_history], ids=lambda write: write.__name__)
def test_a_link_is_refused_and_its_target_unchanged(
    project: Project, write: Callable[[Project], Path]
) -> None:
    name = {log_line: "selab.log", read_history: "history.sqlite"}[write]
    target = project.root / "target"
    target.touch(mode=0o644)
    (project.state / name).symlink_to(target)
    with pytest.raises(SelabError, match="not a regular file"):
        write(project)
    assert (mode(target), target.read_bytes()) == (0o644, b"")


@pytest.mark.parametrize("write", [add_key, replace_key, add_password], ids=lambda write: write.__name__)
def test_a_link_at_the_name_of_the_unfinished_file_is_not_followed(
    project: Project, write: Callable[[Project], Path]
) -> None:
    target = project.root / "target"
    target.touch()
    for name in ("key", "console"):
        (project.state / f"{name}.part").symlink_to(target)
    write(project)
    assert target.read_bytes() == b""


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(SelabError, match="not a regular file"):
        append_private(tmp_path / "log")


def test_a_file_that_another_process_creates_in_between_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "log", os.open

    def racing(name: Path, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT:
            path.write_text("theirs\n")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", racing)
    private_file(path)
    assert (path.read_text(), mode(path)) == ("theirs\n", 0o600)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    with pytest.raises(TypeError):
        write_private(tmp_path / "key", "text")  # type: ignore[arg-type]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_json_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / f"state.{os.getpid()}.part").symlink_to(tmp_path / "target")
    write_json(tmp_path / "state.json", {"a": 1})
    assert (tmp_path / "target").read_bytes() == b""


def test_a_file_that_does_not_exist_stays_absent(tmp_path: Path) -> None:
    make_private(tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_log_takes_what_is_no_text(tmp_path: Path) -> None:
    with append_private(tmp_path / "log") as log:
        log.write("\udcff é\n")
    assert (tmp_path / "log").read_bytes() == "\\udcff é\n".encode()


def test_a_file_that_another_process_removes_meanwhile_needs_no_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SQLite removes its log when the last connection closes."""
    (tmp_path / "log").touch()
    monkeypatch.setattr(private, "_is_private", lambda status: (tmp_path / "log").unlink())
    make_private(tmp_path / "log")
