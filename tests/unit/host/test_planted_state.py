"""Tests that selab follows no link, and reads no pipe, that a pull brought into the user's own `.selab`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.history import History
from selab.host.durations import Durations
from selab.host.files import read_json, write_json
from selab.host.local import LocalHost
from selab.matrix import slots
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from selab.vm.lock import vm_lock
from selab.vm.state import State
from selab.workflows.drafts import drafts

TEXT = "alias ll='ls -l'\n"
LIMIT = 5
"""Seconds for one use. To open a pipe without O_NONBLOCK would wait forever."""


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """End a test that waits for a pipe."""

    def end(*_: object) -> None:
        pytest.fail("selab waits for a pipe")  # no OSError, which selab could handle

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a directory of the user outside the project."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "file").write_text(TEXT)
    return path


def content(outside: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in outside.rglob("*") if path.is_file()}


def use_lock(project: Project) -> None:
    with vm_lock(project, "selab run", Progress()):
        pass


def use_claim(project: Project) -> None:
    with slots.claimed(slots.home(project), "debian13"):
        pass


def use_durations(project: Project) -> None:
    durations = Durations(project.state / "durations.json")
    durations.took("Booting", 1.0)
    durations.keep()


def use_store(project: Project) -> None:
    read_json(project.store)
    write_json(project.store, {"a": 1})


def use_history(project: Project) -> None:
    History.of(project).latest(1)


def use_state(project: Project) -> None:
    state = State(project)
    state.remembered()
    state.keep_password("word")
    state.keep_applied(["step"])


def use_drafts(project: Project) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    drafts(project, "web")


FILES: dict[str, Callable[[Project], None]] = {
    "vm.lock": use_lock,
    "vm.holder": use_lock,
    "durations.json": use_durations,
    "store.json": use_store,
    "history.sqlite": use_history,
    "history.sqlite-wal": use_history,
    "history.sqlite-shm": use_history,
    "history.sqlite-journal": use_history,
    "guest.json": use_state,
    "vm.json": use_state,
    "vm.kept.json": use_state,
    "provisioned.json": use_state,
    "known_hosts": use_state,
    "key": use_state,
    "console": use_state,
}
DIRECTORIES: dict[str, Callable[[Project], None]] = {
    "drafts": use_drafts,
    "drafts/web": use_drafts,
    "vms": use_claim,
    "vms/debian13-1": use_claim,
}


def tried(use: Callable[[Project], None], project: Project) -> None:
    """Use the state. An error must be one that tells the user what to do."""
    try:
        use(project)
    except SelabError as error:
        assert error.hint


@pytest.mark.parametrize("name", FILES)
def test_a_planted_link_is_not_followed(project: Project, outside: Path, name: str) -> None:
    (project.state / name).symlink_to(outside / "file")
    before = content(outside)
    tried(FILES[name], project)
    assert content(outside) == before


@pytest.mark.parametrize("name", FILES)
def test_a_planted_link_creates_nothing(project: Project, outside: Path, name: str) -> None:
    (project.state / name).symlink_to(outside / "new")
    before = content(outside)
    tried(FILES[name], project)
    assert content(outside) == before


@pytest.mark.parametrize("name", FILES)
def test_a_planted_pipe_is_not_waited_for(project: Project, name: str) -> None:
    os.mkfifo(project.state / name)
    tried(FILES[name], project)


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_planted_directory_link_is_not_entered(project: Project, outside: Path, name: str) -> None:
    path = project.state / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside)
    before = content(outside)
    tried(DIRECTORIES[name], project)
    assert content(outside) == before


@pytest.mark.parametrize("name", ["policy", "compiled"])
def test_a_tool_writes_nothing_through_a_planted_directory(
    project: Project, outside: Path, name: str
) -> None:
    (project.state / name).symlink_to(outside)
    with pytest.raises(SelabError, match="not a directory"):
        Toolchain(LocalHost(), str(project.own_directory(name)))
