"""Files and directories that only the user may read. No link in their place is followed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import IO

from selab.errors import SelabError

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600
HINT = "Remove it: selab creates a new one."


def _flags() -> int:
    """Return the flags of every open: no link is followed, and no pipe is waited for."""
    return os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def private_directory(path: Path) -> None:
    """Create the directory `path` for this user only, or make an existing one private.

    Raises SelabError if `path` is a link or a file. Another user's directory keeps its mode.
    """
    try:
        path.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _flags())
        except OSError as error:
            if path.is_symlink() or not path.is_dir():
                raise SelabError(f"{path.name} is not a directory.", str(path), HINT) from error
            raise
        try:
            _set_mode(handle, DIRECTORY_MODE)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove the directory, file or link `path` if it exists; what a link leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def private_file(path: Path) -> None:
    """Create the empty file `path` for this user only, or make an existing one private."""
    with contextlib.suppress(FileNotFoundError):
        if _is_private(path.lstat()):
            return
    os.close(_open(path, os.O_WRONLY | os.O_APPEND, create=True))


def make_private(path: Path) -> None:
    """Make the file `path` private if it exists. Another process may remove it meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if not _is_private(path.lstat()):
            os.close(_open(path, os.O_RDONLY, create=False))


def _is_private(status: os.stat_result) -> bool:
    """Return whether the status is that of a private file of this user. The file is not opened.

    To close any descriptor of a file ends all POSIX locks that the process has on it, and SQLite has such
    locks (fcntl(2), sqlite.org/howtocorrupt.html).
    """
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.geteuid()
        and stat.S_IMODE(status.st_mode) == FILE_MODE
    )


def append_private(path: Path) -> IO[str]:
    """Open the text file `path` to append to it; it becomes private, whatever mode it had."""
    handle = _open(path, os.O_WRONLY | os.O_APPEND, create=True)
    return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


def read_private(path: Path, limit: int) -> bytes:
    """Return up to `limit` bytes of the regular file `path`. Raises SelabError if it is anything else."""
    handle = os.open(path, os.O_RDONLY | _flags())
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SelabError(f"{path.name} is not a regular file.", str(path), HINT)
        return file.read(limit)


def write_private(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Write the file `path` completely or not at all.

    It gets `mode` from the moment of its creation, and replaces whatever has its name.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags(), mode), "wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open(path: Path, flags: int, *, create: bool) -> int:
    """Open the regular file `path` and make it private. Raises SelabError if it is anything else."""
    try:
        try:
            handle = os.open(path, flags | _flags())
        except FileNotFoundError:
            if not create:
                raise
            # Another process may have created the file in between. Then it is opened.
            try:
                return os.open(path, flags | os.O_CREAT | os.O_EXCL | _flags(), FILE_MODE)
            except FileExistsError:
                handle = os.open(path, flags | _flags())
    except PermissionError:
        raise
    except OSError as error:
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise SelabError(f"{path.name} is not a regular file.", str(path), HINT) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SelabError(f"{path.name} is not a regular file.", str(path), HINT)
        _set_mode(handle, FILE_MODE)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _set_mode(handle: int, mode: int) -> None:
    """Give the open file `mode` if it belongs to this user."""
    status = os.fstat(handle)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
        os.fchmod(handle, mode)
