"""A candidate's .te as the user wrote it, read and written byte for byte."""

from __future__ import annotations

from pathlib import Path

from selab.errors import InputError
from selab.host.local import LocalHost


def source(te: Path) -> str:
    """A policy's text, of which every byte can be written back."""
    return te.read_bytes().decode("utf-8", "surrogateescape")


def write_source(te: Path, text: str) -> None:
    """Write a policy's text, byte for byte what `source` has read."""
    te.write_bytes(text.encode("utf-8", "surrogateescape"))


def rewrite(te: Path, before: str, after: str, hint: str = "Ask again.") -> Path | None:
    """Write `after` in the place of `before`, which is kept beside it. None where there is nothing to change.

    Raises InputError where the file was changed in the meantime.
    """
    if source(te) != before:
        raise InputError("The policy was changed in the meantime.", str(te), hint)
    if after == before:
        return None
    backup = _free(te)
    write_source(backup, before)
    LocalHost().put(after.encode("utf-8", "surrogateescape"), str(te), mode=te.stat().st_mode & 0o777)
    return backup


def _free(te: Path) -> Path:
    """A name beside `te` that nothing has yet: an earlier backup is somebody's only copy."""
    names = (te.with_name(f"{te.name}.bak{number or ''}") for number in range(10_000))
    return next(path for path in names if not path.exists())
