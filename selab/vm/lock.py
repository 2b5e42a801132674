"""One selab at a time on a VM: the second waits, and says for whom."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from selab.errors import SelabError
from selab.progress import Progress
from selab.project import Project

WAIT = 1800.0
"""Seconds to wait for another selab: a box that is built and a VM that boots for the first time take ten minutes."""


@contextmanager
def vm_lock(project: Project, doing: str, progress: Progress, *, wait: float = WAIT) -> Iterator[None]:
    """Hold the project's VM for the block; `doing` is what another selab will say it waits for. Raises SelabError after `wait` seconds, or
    at once where the project does not wait.

    The lock goes with its process, however that ends; what says who has it stays behind then, and is only read by whoever must wait.
    """
    lock, holder = FileLock(project.state / "vm.lock"), project.state / "vm.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        said = _said(holder)
        if not project.waits:
            raise SelabError(
                "The VM is in use.", f"By: {said}.", "Wait for it to end, or leave out --no-wait."
            ) from None
        progress.note(f"Waiting for the VM, which is in use by: {said}.")
        try:
            with progress.step("Waiting for the VM"):
                lock.acquire(timeout=wait)
        except Timeout:
            raise SelabError(
                "The VM is still in use.",
                f"By: {_said(holder)}; waited {wait:g} seconds.",
                "End it, then try again.",
            ) from None
    try:
        holder.write_text(f"`{doing}`, process {os.getpid()}, since {datetime.datetime.now():%H:%M:%S}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _said(holder: Path) -> str:
    """Who has it. Between taking the lock and saying so there is a moment."""
    try:
        return holder.read_text().strip() or "another selab"
    except (OSError, ValueError):
        return "another selab"
