"""Digests of cached files: a file is used only if it is the file that was stored."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from selab.host.local import LocalHost


def digests(directory: Path) -> dict[str, str]:
    """Return the SHA-256 digest of each file below `directory`, by its path relative to it."""
    return {path.relative_to(directory).as_posix(): _digest(path) for path in _files(directory)}


def is_unchanged(directory: Path, stored: Mapping[str, str], parts: Collection[str]) -> bool:
    """Return whether the `parts` of `directory`, files or directories in it, are as `digests` found them.

    A file that is not in `stored` is a change as well. A file is not read twice in one process unless its
    inode, size or times change.
    """
    try:
        files = {
            path.relative_to(directory).as_posix(): path
            for part in parts
            for path in ([directory / part] if (directory / part).is_file() else _files(directory / part))
        }
        expected = {name: digest for name, digest in stored.items() if name.split("/", 1)[0] in parts}
        return files.keys() == expected.keys() and all(
            _digest(path) == expected[name] for name, path in files.items()
        )
    except OSError:
        return False


def write_with_digest(data: bytes, path: Path) -> None:
    """Write `data` to the file `path`, with its digest beside it."""
    LocalHost().put(data, str(path))
    LocalHost().put(hashlib.sha256(data).hexdigest().encode(), str(_beside(path)))


def read_with_digest(path: Path) -> bytes | None:
    """Return what `write_with_digest` wrote; None if the file is missing or its digest differs."""
    try:
        data = path.read_bytes()
        return data if hashlib.sha256(data).hexdigest() == _beside(path).read_text() else None
    except (OSError, ValueError):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _files(directory: Path) -> list[Path]:
    """Return everything below `directory` that is not a directory, links and devices included."""
    return sorted(Path(root, name) for root, _, names in os.walk(directory) for name in names)


def _digest(path: Path) -> str:
    """Return the digest of a regular file; a link or device has none. Raises OSError if it cannot be read."""
    if path.is_symlink() or not path.is_file():
        return ""
    stat = path.stat()
    return _read(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@functools.cache
def _read(path: Path, state: tuple[int, ...]) -> str:
    """Return the digest of a file in this `state`, which is part of the cache's key only."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
