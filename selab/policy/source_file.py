"""Read and write a candidate's .te byte for byte."""

from __future__ import annotations

from pathlib import Path

from selab.errors import InputError
from selab.host.local import LocalHost


def source(te: Path) -> str:
    """Return a policy's text; `write_source` can restore every byte of it."""
    return te.read_bytes().decode("utf-8", "surrogateescape")


def write_source(te: Path, text: str) -> None:
    """Write a policy's text with exactly the bytes that `source` read."""
    te.write_bytes(text.encode("utf-8", "surrogateescape"))


def rewrite(te: Path, before: str, after: str, hint: str = "Run the command again.") -> Path | None:
    """Replace `before` with `after` and return the backup, or None if nothing changes.

    Raises InputError if the file changed in the meantime.
    """
    if source(te) != before:
        raise InputError("The policy changed in the meantime.", str(te), hint)
    if after == before:
        return None
    backup = _free(te)
    write_source(backup, before)
    LocalHost().put(after.encode("utf-8", "surrogateescape"), str(te), mode=te.stat().st_mode & 0o777)
    return backup


def _free(te: Path) -> Path:
    """Return an unused name beside `te`: an earlier backup may be the only copy and is never overwritten."""
    names = (te.with_name(f"{te.name}.bak{number or ''}") for number in range(10_000))
    return next(path for path in names if not path.exists())
