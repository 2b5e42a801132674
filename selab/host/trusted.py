"""What this user allowed: directories of other users, and things in projects, by their digest.

The record is in the user's own configuration directory: no repository can write there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from selab.errors import SelabError
from selab.host.files import read_json
from selab.host.private import write_private

RECORD = "trusted.json"
DIRECTORIES, DIGESTS = "directories", "digests"


def record_path() -> Path:
    """Return the file that holds the record."""
    import platformdirs

    return platformdirs.user_config_path("selab") / RECORD


def owner_is_trusted(path: Path) -> bool:
    """Return whether `path`, and what a link in its place leads to, belong to this user.

    As in git (safe.directory in git-config(1)), root also trusts the user who called sudo.
    """
    trusted = {os.geteuid()}
    if os.geteuid() == 0 and (user := os.environ.get("SUDO_UID", "")).isdecimal():
        trusted.add(int(user))
    return {path.lstat().st_uid, path.stat().st_uid} <= trusted


def directories() -> list[str]:
    """Return the directories of other users that this user allowed."""
    return _read()[0]


def digests() -> dict[str, str]:
    """Return what this user allowed in projects: a description of each thing by its digest."""
    return _read()[1]


def allow_directory(directory: Path) -> None:
    """Record that this user allows the `directory`, with its links resolved."""
    allowed, table = _read()
    _write(sorted({*allowed, str(directory.resolve())}), table)


def allow(digest: str, description: str) -> None:
    """Record that this user allows what has the `digest`."""
    allowed, table = _read()
    _write(allowed, table | {digest: description})


def forget(name: str) -> bool:
    """Remove the directory `name`, or what has a digest that begins so. Return whether there was one."""
    allowed, table = _read()
    remaining = [directory for directory in allowed if directory != name]
    others = {digest: text for digest, text in table.items() if not (name and digest.startswith(name))}
    changed = (remaining, others) != (allowed, table)
    if changed:
        _write(remaining, others)
    return changed


def _read() -> tuple[list[str], dict[str, str]]:
    """Return the directories and the digests of the record. A part of another form allows nothing."""
    record = read_json(record_path())
    allowed, table = record.get(DIRECTORIES), record.get(DIGESTS)
    return (
        [name for name in allowed if isinstance(name, str)] if isinstance(allowed, list) else [],
        {str(key): str(value) for key, value in table.items()} if isinstance(table, dict) else {},
    )


def _write(allowed: list[str], table: dict[str, str]) -> None:
    data: dict[str, Any] = {DIRECTORIES: allowed, DIGESTS: table}
    path = record_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, (json.dumps(data, indent=2) + "\n").encode())
    except OSError as error:
        raise SelabError(
            "What you allow cannot be recorded.",
            str(error),
            "Make the directory writable, or set XDG_CONFIG_HOME to another directory of yours.",
        ) from error
