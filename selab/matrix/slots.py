"""The VMs of a matrix: each has a slot, a directory that is a project of its own, with the VM's files and a copy of what the user wrote."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import CONFIG, Project, find_project, nearest
from selab.vm.select import machine_of
from selab.vm.state import State

MOST = 64
"""VMs of one guest on one machine: as many workers of one machine may have a run at a time."""
CLAIM_LIMIT = 1.0
"""Seconds to wait for a slot that is to be destroyed: a run in it takes longer."""


def home(project: Project) -> Path:
    """Where the slots of the project's own workers lie."""
    return project.state / "vms"


def slots(place: Path) -> list[str]:
    """The slots in `place` that have a VM, or had one."""
    return sorted((path.parent.name for path in place.glob(f"*/{CONFIG}")), key=_by_number)


def slot_project(project: Project, slot: str) -> Project:
    """The slot as a project. Raises InputError where there is none of that name."""
    if slot not in (known := slots(home(project))):
        raise InputError(f"There is no VM '{slot}' of a matrix.", str(home(project)), nearest(slot, known))
    return find_project(home(project) / slot)


@contextlib.contextmanager
def claimed(place: Path, guest: str) -> Iterator[Path]:
    """A slot of `guest` for the block alone: one that has a VM if any is free, else a new one. It is free again when its process ends."""
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
        "Wait for a run to end.",
    )


def with_vm(place: Path) -> list[Project]:
    """The slots in `place` that have a VM."""
    return [project for slot in slots(place) if has_vm(project := find_project(place / slot))]


def has_vm(project: Project) -> bool:
    """Whether a VM was made there and not removed since; nothing is asked for that."""
    state = State(project)
    return bool(state.vagrant_parameters() or state.remembered())


def destroy(place: Path, slot: str, progress: Progress) -> None:
    """Remove the slot's VM, if it has one. Raises SelabError where a run uses it."""
    project = find_project(place / slot)
    try:
        with _lock(place / slot).acquire(timeout=CLAIM_LIMIT):
            if has_vm(project):
                machine_of(project).destroy(progress)
    except Timeout:
        raise SelabError(
            f"The VM '{slot}' is in use.", str(place / slot), "Remove it when that run has ended."
        ) from None


def _lock(directory: Path) -> FileLock:
    """Whose slot it is; it goes with its process."""
    (directory / ".selab").mkdir(parents=True, exist_ok=True)
    return FileLock(directory / ".selab" / "claim.lock")


def _candidates(place: Path, guest: str) -> list[str]:
    """The guest's slots, those with a VM first."""
    names = [f"{guest}-{number}" for number in range(1, MOST + 1)]
    there = [project.root.name for project in with_vm(place) if project.root.name in names]
    return [*there, *(name for name in names if name not in there)]


def _by_number(slot: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*)-(\d+)", slot)
    return (found[1], int(found[2])) if found else (slot, 0)
