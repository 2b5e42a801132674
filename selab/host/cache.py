"""Where selab keeps what it can make again: boxes, flat bases, compiled modules."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from selab.errors import SelabError
from selab.progress import Progress


def cache_dir() -> Path:
    """The cache directory, made if need be.

    `SELAB_CACHE` wins. Root's cache is the system's and not below its home: QEMU runs as a user of its own there, which must be able to
    read a box's kernel.
    """
    chosen = os.environ.get("SELAB_CACHE")
    if chosen:
        path = Path(chosen).expanduser().resolve()
    elif os.geteuid() == 0:
        path = platformdirs.site_cache_path("selab")
    else:
        path = platformdirs.user_cache_path("selab")
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            path.chmod(0o755)
    return path


@contextlib.contextmanager
def alone(lock: Path, limit: float, doing: str, progress: Progress | None = None) -> Iterator[None]:
    """Be the only process in a block with this `lock`, which goes with its process. Raises SelabError after `limit` seconds."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if progress:
            progress.note(f"Waiting for another selab, which is {doing}.")
        try:
            held.acquire(timeout=limit)
        except Timeout:
            raise SelabError(
                f"Another selab is still {doing}.", f"Waited {limit:.0f} seconds.", "End it, then try again."
            ) from None
    try:
        yield
    finally:
        held.release()
