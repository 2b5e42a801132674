"""A lock on a VM: one selab process uses it at a time, and the next one waits and reports which process holds
it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from selab.errors import SelabError
from selab.host.private import private_file, read_private, remove, write_private
from selab.progress import Progress
from selab.project import Project

MAX_DESCRIPTION = 4096
"""Bytes that a waiting process reads of the holder's description."""
WAIT = 1800.0
"""Seconds to wait for another selab process: building a box and booting a VM for the first time take ten
minutes."""


@contextmanager
def vm_lock(project: Project, doing: str, progress: Progress, *, wait: float = WAIT) -> Iterator[None]:
    """Hold the project's VM for the block. A waiting selab process reports `doing` as the command that it
    waits for.

    Raises SelabError after `wait` seconds, or at once if the project does not wait.

    The kernel releases the lock when the process ends, however it ends. The holder's description may then
    remain, but only a process that waits for the lock reads it.
    """
    path, holder = project.state / "vm.lock", project.state / "vm.holder"
    private_file(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        description = _description(holder)
        if not project.waits:
            raise SelabError(
                "The VM is in use.",
                f"It is used by {description}.",
                "Wait for that command to end, or leave out --no-wait.",
            ) from None
        progress.note(f"Waiting for the VM, which is in use by {description}.")
        try:
            with progress.step("Waiting for the VM"):
                lock.acquire(timeout=wait)
        except Timeout:
            raise SelabError(
                "The VM is still in use.",
                f"It is used by {_description(holder)}; selab waited {wait:g} seconds.",
                "End that command, then try again.",
            ) from None
    try:
        text = f"`{doing}`, process {os.getpid()}, since {datetime.datetime.now():%H:%M:%S}"
        write_private(holder, text.encode())
        yield
    finally:
        remove(holder)
        lock.release()


def _description(holder: Path) -> str:
    """Return the holder's description. It is missing for a moment after the lock has been taken."""
    try:
        return read_private(holder, MAX_DESCRIPTION).decode().strip() or "another selab"
    except (OSError, ValueError, SelabError):
        return "another selab"
