"""The cache: boxes, flat bases and compiled modules, all of which selab can create again."""

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
    """Return the cache directory, and create it if it does not exist.

    The variable SELAB_CACHE overrides the default. Root's cache is the system's, not one in root's home
    directory: QEMU runs as another user there, and must be able to read a box's kernel.
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
    """Run the block as the only process that holds `lock`, which the kernel releases when a process ends.

    Raises SelabError if another process still holds it after `limit` seconds.
    """
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
