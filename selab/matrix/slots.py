"""Manage the VMs of a matrix.

Each VM has a slot: a directory that is a project of its own, with the VM's files and a copy of what the user
wrote.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from selab.errors import InputError, SelabError
from selab.host.binding import state_directory
from selab.host.private import private_directory, private_file
from selab.progress import Progress
from selab.project import CONFIG, Project, find_project, nearest
from selab.vm.select import machine_of
from selab.vm.state import State

MOST = 64
"""VMs of one guest on one machine: the number of its workers that can execute runs at a time."""
CLAIM_LIMIT = 1.0
"""Seconds to wait for a slot that is to be destroyed: a run in it takes longer."""


def home(project: Project) -> Path:
    """Return the directory of the slots of the project's own workers, which may not exist.

    Raises SelabError if it is a link or a file.
    """
    path = project.state / "vms"
    return project.own_directory("vms") if os.path.lexists(path) else path


def slots(place: Path) -> list[str]:
    """Return the slots in `place` that have or had a VM."""
    return sorted((path.parent.name for path in place.glob(f"*/{CONFIG}")), key=_by_number)


def slot_project(project: Project, slot: str) -> Project:
    """Return the slot as a project. Raises InputError if it does not exist."""
    if slot not in (known := slots(home(project))):
        raise InputError(f"There is no VM '{slot}' of a matrix.", str(home(project)), nearest(slot, known))
    return find_project(home(project) / slot)


@contextlib.contextmanager
def claimed(place: Path, guest: str) -> Iterator[Path]:
    """Claim a slot of `guest` for the block, preferably one with a VM; it is freed with the process."""
    for slot in _candidates(place, guest):
        lock = _lock(place / slot)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield place / slot
        finally:
            lock.release()
        return
    raise SelabError(
        f"All {MOST} VMs of the guest '{guest}' on this machine are in use.",
        str(place),
        "Wait until a run ends.",
    )


def with_vm(place: Path) -> list[Project]:
    """Return the slots in `place` that have a VM."""
    return [project for slot in slots(place) if has_vm(project := find_project(place / slot))]


def has_vm(project: Project) -> bool:
    """Return whether a VM was created there and not removed since, from recorded data only."""
    state = State(project)
    return bool(state.vagrant_parameters() or state.remembered())


def destroy(place: Path, slot: str, progress: Progress) -> None:
    """Remove the slot's VM, if it has one. Raises SelabError if a run uses it."""
    project = find_project(place / slot)
    try:
        with _lock(place / slot).acquire(timeout=CLAIM_LIMIT):
            if has_vm(project):
                machine_of(project).destroy(progress)
    except Timeout:
        raise SelabError(
            f"The VM '{slot}' is in use.", str(place / slot), "Remove it after that run has ended."
        ) from None


def _lock(directory: Path) -> FileLock:
    """Return the lock of a slot, which the end of its process releases."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    private_directory(directory)
    lock = state_directory(directory / ".selab") / "claim.lock"
    private_file(lock)
    return FileLock(lock)


def _candidates(place: Path, guest: str) -> list[str]:
    """Return the names of the guest's slots, those with a VM first."""
    names = [f"{guest}-{number}" for number in range(1, MOST + 1)]
    there = [project.root.name for project in with_vm(place) if project.root.name in names]
    return [*there, *(name for name in names if name not in there)]


def _by_number(slot: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*)-(\d+)", slot)
    return (match[1], int(match[2])) if match else (slot, 0)
