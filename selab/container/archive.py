"""Pack files of the project for a container: without links, bounded in size, and owned by root."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from selab.errors import InputError

MAX_COPY = 512 * 1024 * 1024
"""Bytes of all files that are copied into a volume or a container at once: they are packed in memory."""


def packed(source: Path | None, name: str = "") -> bytes:
    """Pack the content of the directory `source` as a tar archive; None is an empty directory.

    With `name`, pack the file or directory itself under that name. Links are left out, because their targets
    may be outside the project, and so are special files. Raises InputError if the files are too large or
    unreadable.
    """
    out, size = io.BytesIO(), 0
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, member in _members(source, name) if source else ():
            try:
                size += path.stat().st_size if path.is_file() else 0
                if size > MAX_COPY:
                    raise InputError(
                        "The files to copy are too large.",
                        f"{source} has more than {MAX_COPY >> 20} MiB.",
                        "Copy fewer files, or put them into the image.",
                    )
                tar.add(path, arcname=member, recursive=False, filter=_as_root)
            except OSError as error:
                raise InputError("A file to copy cannot be read.", f"{path}: {error.strerror}") from error
    return out.getvalue()


def _members(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield each file and directory to pack, with its name in the archive."""
    if name:
        yield source, name
    for path in sorted(source.rglob("*")):
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            yield path, str(name / path.relative_to(source))


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
