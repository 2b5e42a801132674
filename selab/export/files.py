"""The files of an export. They are written together or not at all, and replace nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.project import inside

DIRECTORY_MODE = 0o755


@dataclass(frozen=True)
class ExportedFile:
    """A file of an export.

    path: its path below the directory of the export, with `/` between the parts.
    data: its bytes.
    mode: its permissions, which a package takes over from the file.
    """

    path: str
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Exported:
    """A policy in one of the formats.

    files: the files, in the order in which they are listed.
    commands: the shell commands that use them, in the directory of the export.
    notes: what the user should know.
    """

    files: Sequence[ExportedFile]
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_new(directory: Path, files: Sequence[ExportedFile]) -> None:
    """Write the files below `directory`, which is created if it does not exist.

    Raises InputError, without writing anything, if one of the files exists, or if a link leads out of the
    directory. If a file cannot be written, what was written before it is removed.
    """
    _require_directory(directory)
    for file in files:
        path = directory / file.path
        inside(directory, path.parent, f"The directory of {path.name}")
        if os.path.lexists(path):
            raise InputError(
                f"{path.name} already exists.",
                str(path),
                "Nothing was written. Choose another directory with -o, or move the file away.",
            )
        _require_directory(path.parent)
    with _undone_on_error() as created:
        try:
            for file in files:
                _make_directories(directory / Path(file.path).parent, created)
                _create(directory / file.path, file, created)
        except OSError as error:
            raise SelabError(
                "The export cannot be written.",
                f"{error.filename or directory}: {error.strerror}",
                "Nothing was left. Check the directory, or choose another one with -o.",
            ) from error


def _require_directory(path: Path) -> None:
    """Raise InputError if `path` or a part of it exists and is not a directory."""
    nearest = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise InputError(
            f"{nearest.name} is not a directory.", str(nearest), "Choose another directory with -o."
        )


def _make_directories(path: Path, created: list[Path]) -> None:
    if not path.exists():
        _make_directories(path.parent, created)
        path.mkdir()
        created.append(path)
        # dpkg-deb refuses other modes, which a umask or a parent's set-group-ID bit would give.
        path.chmod(DIRECTORY_MODE)


def _create(path: Path, file: ExportedFile, created: list[Path]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as stream:
        created.append(path)
        stream.write(file.data)
        os.fchmod(stream.fileno(), file.mode)


@contextlib.contextmanager
def _undone_on_error() -> Iterator[list[Path]]:
    """Remove what was created, the newest first, if writing fails or is interrupted."""
    created: list[Path] = []
    try:
        yield created
    except BaseException:
        for path in reversed(created):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise
