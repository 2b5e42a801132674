"""Bind a state directory to this user, this machine and this directory, with a key of the user.

A repository can contain a `.selab`, with links, compiled policies and the address of a VM. The file `owner`
in the directory holds an HMAC that only this user can compute. It covers the directory's inode number, so
that `mv` keeps the state, and a clone, an archive or a copy does not match. It does not cover the device
number, which can change when the machine restarts.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import stat
import sys
import time
from pathlib import Path

from selab.errors import SelabError
from selab.host.private import private_directory, read_private, write_private

OWNER = "owner"
ADOPT = "SELAB_ADOPT_STATE"
"""The variable with which the user takes back a state directory that does not match."""
KEY_SIZE = 32

_verified: set[tuple[Path, int]] = set()


def machine_id() -> str:
    """Return the machine's id (machine-id(5)), or its host name if the id is absent or empty."""
    try:
        text = Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        text = ""
    return text if text and text != "uninitialized" else socket.gethostname()


def state_directory(path: Path) -> Path:
    """Return the private state directory `path` of this user; create it if it does not exist.

    A directory that does not match, or anything else of that name, is renamed and named on standard error.
    Raises SelabError if it cannot be renamed, or if the user adopts a directory with links or pipes in it.
    """
    status = path.lstat() if os.path.lexists(path) else None
    if status and (path, status.st_ino) in _verified and _is_ours(status):
        private_directory(path)
        return path
    if status and not _matches(path, status):
        _set_aside(path)
    private_directory(path)
    inode = path.lstat().st_ino
    if not _has_mark(path, inode):
        _require_plain_files(path)
        write_private(path / OWNER, _mark(inode).encode())
    _verified.add((path, inode))
    return path


def is_bound(path: Path) -> bool:
    """Return whether this user made the directory `path` here, or adopts it, or it is empty or absent."""
    return not os.path.lexists(path) or _matches(path, path.lstat())


def mark(path: Path) -> str:
    """Return what only this user can compute of the directory `path`. A directory that replaces it has
    another mark."""
    return _mark(path.lstat().st_ino)


def seal(purpose: str, data: bytes) -> str:
    """Return what only this user can compute of `data` that serves `purpose`, as 64 hexadecimal digits.

    The binding covers a directory. A version control system can put files of a repository into a directory
    that is bound already, and the seal shows that a file in it is not selab's.
    """
    return hmac.new(_key(), b"seal\0" + purpose.encode() + b"\0" + data, "sha256").hexdigest()


def is_sealed(purpose: str, data: bytes, value: object) -> bool:
    """Return whether `value` is the seal of `data`."""
    return isinstance(value, str) and hmac.compare_digest(value.encode(), seal(purpose, data).encode())


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _matches(path: Path, status: os.stat_result) -> bool:
    """Return whether this user made the directory here, or adopts it, or it is empty."""
    if not _is_ours(status):
        return False
    return _has_mark(path, status.st_ino) or os.environ.get(ADOPT) == "1" or not any(path.iterdir())


def _require_plain_files(path: Path) -> None:
    """Raise SelabError if the directory contains anything but files and directories.

    The project of a slot in `vms` is left out: it is a copy of what the user wrote, which may have links, and
    has a state directory of its own.
    """
    for directory, directories, files in os.walk(path):
        for each in (Path(directory, name) for name in (*directories, *files)):
            if not stat.S_ISREG(mode := each.lstat().st_mode) and not stat.S_ISDIR(mode):
                raise SelabError(
                    f"{path.name} cannot be adopted: it contains a link or a special file.",
                    str(each),
                    "selab creates none there: a repository may have brought it. Remove it.",
                )
        if Path(directory) == path / "vms":
            directories.clear()


def _has_mark(path: Path, inode: int) -> bool:
    try:
        mark = read_private(path / OWNER, limit=256)
    except (OSError, SelabError):
        return False
    return hmac.compare_digest(mark, _mark(inode).encode())


def _mark(inode: int) -> str:
    return hmac.new(_key(), f"{machine_id()}\n{os.geteuid()}\n{inode}".encode(), "sha256").hexdigest()


def _key() -> bytes:
    """Return this user's key, and create it if it does not exist."""
    import platformdirs

    directory = platformdirs.user_state_path("selab")
    path = directory / "state.key"
    hint = "Make the directory writable, or set XDG_STATE_HOME to another directory of yours."
    try:
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create_key(path)
        key = read_private(path, limit=KEY_SIZE)
    except OSError as error:
        raise SelabError("The key of the project state cannot be used.", str(error), hint) from error
    if len(key) != KEY_SIZE or path.lstat().st_uid != os.geteuid():
        raise SelabError(
            "The key of the project state is damaged.", str(path), "Remove it: selab creates a new one."
        )
    return key


def _create_key(path: Path) -> None:
    """Create the key completely or not at all; if another process is faster, its key stays."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    write_private(part, secrets.token_bytes(KEY_SIZE))
    try:
        with contextlib.suppress(FileExistsError):  # Another process was faster, and its key stays.
            os.link(part, path, follow_symlinks=False)
    finally:
        part.unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    """Rename what is at `path` and tell the user."""
    aside = path.with_name(f"{path.name}.foreign-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
    try:
        path.rename(aside)
    except OSError as error:
        raise SelabError(
            f"{path.name} was not made by you on this machine, and cannot be renamed.",
            str(error),
            f"Remove {path}, or copy the project to a directory of yours.",
        ) from error
    lines = (
        f"{path.name} was not made here by you with this selab, so it is not used.",
        f"It is now {aside}. A VM that it describes may still be running.",
        f"If the state is yours, rename it back to {path} and run selab once with {ADOPT}=1. "
        "If it came with a repository, remove it.",
    )
    for line in lines:
        sys.stderr.write("".join(char if char.isprintable() else "?" for char in line) + "\n")
