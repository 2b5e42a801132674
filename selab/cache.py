"""Where selab keeps what it can make again: boxes, flat bases, compiled modules."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


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
