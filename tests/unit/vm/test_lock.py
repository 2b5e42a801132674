"""Two selab processes on one VM: the second waits and reports which process it waits for, or is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from selab.cli.session import Context
from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project
from selab.vm import lock
from selab.vm.lock import WAIT, vm_lock
from tests.unit.fakes import Notes

HOLDER = "`selab run web`, process 7"


@dataclass
class Lock:
    """A lock that another process holds during the first `refusals` attempts.

    paths: the files that were locked.
    waits: the seconds that each attempt could take.
    releases: how often the lock was released.
    """

    refusals: int = 0
    paths: list[Path] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    releases: int = 0

    def acquire(self, *, timeout: float) -> None:
        self.waits.append(timeout)
        if len(self.waits) <= self.refusals:
            raise Timeout(str(self.paths[0]))

    def release(self) -> None:
        self.releases += 1


@pytest.fixture
def held(project: Project, monkeypatch: pytest.MonkeyPatch) -> Lock:
    """A lock without real waits. A process has described itself as its holder."""
    fake = Lock()
    monkeypatch.setattr(lock, "FileLock", lambda path: (fake.paths.append(path), fake)[1])
    (project.state / "vm.holder").write_text(HOLDER)
    return fake


@pytest.fixture
def taken(project: Project) -> Iterator[Project]:
    """A project whose VM is in use, as another process would have it."""
    with FileLock(project.state / "vm.lock"):
        (project.state / "vm.holder").write_text(HOLDER)
        yield project


def test_a_vm_in_use_is_refused_with_its_holder_to_a_command_that_does_not_wait(taken: Project) -> None:
    with pytest.raises(SelabError) as caught, vm_lock(replace(taken, waits=False), "selab run", Progress()):
        pass
    assert "The VM is in use" in caught.value.what
    assert HOLDER in caught.value.detail
    assert "--no-wait" in caught.value.hint


def test_a_command_that_does_not_wait_tries_once_and_reports_no_waiting(project: Project, held: Lock) -> None:
    held.refusals, notes = 1, Notes()
    with pytest.raises(SelabError), vm_lock(replace(project, waits=False), "selab run", notes):
        pass
    assert (held.paths, held.waits, held.releases) == ([project.state / "vm.lock"], [0], 0)
    assert (notes.notes, notes.steps) == ([], [])


def test_a_command_reports_which_process_it_waits_for(project: Project, held: Lock) -> None:
    held.refusals, notes = 1, Notes()
    with vm_lock(project, "selab run", notes):
        assert (held.waits, held.releases) == ([0, WAIT], 0)
    assert HOLDER in notes.notes[0] and "Waiting for the VM" in notes.notes[0]
    assert notes.steps == ["Waiting for the VM"]


def test_a_vm_that_is_free_is_used_at_once_and_silently(project: Project, held: Lock) -> None:
    notes = Notes()
    with vm_lock(project, "selab run", notes):
        pass
    assert (held.waits, held.releases) == ([0], 1)
    assert (notes.notes, notes.steps) == ([], [])


def test_a_wait_that_ends_without_the_vm_names_the_holder_and_the_time(project: Project, held: Lock) -> None:
    held.refusals = 2
    with pytest.raises(SelabError) as caught, vm_lock(project, "selab run", Progress(), wait=90.0):
        pass
    assert "The VM is still in use" in caught.value.what
    assert HOLDER in caught.value.detail and "90 seconds" in caught.value.detail
    assert "End that command" in caught.value.hint
    assert (held.waits, held.releases) == ([0, 90.0], 0)


@pytest.mark.parametrize("waits", [True, False])
def test_a_command_that_does_not_get_the_vm_leaves_the_holders_description(
    project: Project, held: Lock, waits: bool
) -> None:
    held.refusals = 2
    with pytest.raises(SelabError), vm_lock(replace(project, waits=waits), "selab run", Progress()):
        pass
    assert (project.state / "vm.holder").read_text() == HOLDER


def test_the_holder_is_described_while_it_holds_the_vm(project: Project) -> None:
    with vm_lock(project, "selab run web", Progress()):
        text = (project.state / "vm.holder").read_text()
    assert re.fullmatch(rf"`selab run web`, process {os.getpid()}, since \d\d:\d\d:\d\d", text)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_vm_is_released_however_the_block_ends(
    project: Project, held: Lock, error: type[BaseException] | None
) -> None:
    try:
        with vm_lock(project, "selab run web", Progress()):
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        assert error
    assert ((project.state / "vm.holder").exists(), held.releases) == (False, 1)


def test_the_vm_is_released_if_its_holder_cannot_be_described(
    project: Project, held: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(lock, "write_private", full)
    with pytest.raises(OSError, match="No space left"), vm_lock(project, "selab run", Progress()):
        pass
    assert ((project.state / "vm.holder").exists(), held.releases) == (False, 1)


def test_a_vm_that_is_released_is_free_for_the_next_command(project: Project) -> None:
    for _ in range(2):
        with vm_lock(replace(project, waits=False), "selab run", Progress()):
            pass


def test_the_lock_is_a_private_file(project: Project) -> None:
    with vm_lock(project, "selab run", Progress()):
        assert (project.state / "vm.lock").stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_the_lock_is_refused(project: Project, tmp_path: Path) -> None:
    (project.state / "vm.lock").symlink_to(tmp_path / "outside")
    with pytest.raises(SelabError, match=r"vm\.lock"), vm_lock(project, "selab run", Progress()):
        pass
    assert not (tmp_path / "outside").exists()


def test_a_holders_description_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "holder").write_text("x" * (lock.MAX_DESCRIPTION + 1))
    assert len(lock._description(tmp_path / "holder")) == lock.MAX_DESCRIPTION


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"], ids=["none", "empty", "blank", "no text"])
def test_a_holder_without_a_description_is_another_selab(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "holder").write_bytes(content)
    assert lock._description(tmp_path / "holder") == "another selab"


def test_a_description_that_is_a_pipe_or_a_link_is_not_read(tmp_path: Path) -> None:
    """A repository can contain the link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    assert [lock._description(tmp_path / name) for name in ("pipe", "link")] == ["another selab"] * 2


def test_a_description_is_shown_without_the_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "holder").write_text(f"{HOLDER}\n")
    assert lock._description(tmp_path / "holder") == HOLDER


def test_no_wait_reaches_the_project(project: Project) -> None:
    assert not Context(project.root, waits=False).project.waits
