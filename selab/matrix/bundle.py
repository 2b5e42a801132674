"""Pack what the user wrote for a worker, so that all runs of a matrix use one state of the files."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from selab.errors import InputError, SelabError
from selab.host.private import private_directory, read_private, remove, write_private
from selab.policy.module_files import ENDINGS
from selab.project import CONFIG, Project, ProjectConfig
from selab.run.request import Plan
from selab.scenario.load import sources_of

OWN = (".selab", ".vagrant")
"""These directories of a project are not the user's files: they are never sent and never replaced."""
STAMP = Path(".selab", "bundle")
MOST_SENT = 16 << 20
"""Bytes of a compressed bundle: each waiting run has its own bundle in the scheduler's memory."""
MOST_UNPACKED = 256 << 20
MODE = 0o777
"""The part of a file's mode that is kept."""
SENT = (*ENDINGS, ".yml")


@dataclass(frozen=True)
class Bundle:
    """The user's files for a worker.

    data: compressed tar.
    digest: SHA-256 of the data, in hex.
    """

    data: bytes
    digest: str


def pack(project: Project, plans: Iterable[Plan]) -> Bundle:
    """Pack the Vagrantfile, policies, scenarios and images, and the sources of `plans`.

    Raises InputError if they are too large to send.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in sorted(dict(_files(project, plans)).items()):
            _add(tar, name, path)
    data = zlib.compress(out.getvalue())
    if len(data) > MOST_SENT or out.tell() > MOST_UNPACKED:
        detail = (
            f"They take {len(data) >> 20} MiB, compressed; at most {MOST_SENT >> 20} can be sent to a worker."
        )
        raise InputError(
            "The files of the scenarios are too large for a matrix.",
            detail,
            "Reduce the size of the files that volumes and `copy` steps take.",
        )
    return Bundle(data, hashlib.sha256(data).hexdigest())


def _as_yaml(config: ProjectConfig) -> str:
    return yaml.safe_dump(
        config.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True
    )


def _files(project: Project, plans: Iterable[Plan]) -> Iterator[tuple[str, Path]]:
    """Yield each file and directory with its name in the bundle; a policy or scenario may be a link.

    All images are sent: a box contains them all, so fewer images would make a different box.
    """
    if (vagrantfile := project.vagrant_dir / "Vagrantfile").is_file():
        yield "Vagrantfile", vagrantfile
    for path in (
        *project.policies.glob("*.*"),
        *project.templates.glob("*.cil"),
        *project.scenarios.glob("*.y*ml"),
    ):
        if path.suffix in SENT and path.is_file() and path.resolve().is_relative_to(project.root.resolve()):
            directory = "policies/templates" if path.parent == project.templates else path.parent.name
            yield f"{directory}/{path.name}", path
    for image in project.images.glob("*/"):
        if image.resolve().is_relative_to(project.root.resolve()):
            yield from _tree(image, f"images/{image.name}")
    for plan in plans:
        for source in sources_of(plan.scenario):
            yield from _tree(project.root / source, _source_name(source))


def _source_name(source: str) -> str:
    name = os.path.normpath(source).replace(os.sep, "/")
    if name.startswith("/"):
        raise InputError(
            f"The source '{source}' has an absolute path.",
            hint="Write its path relative to selab.yaml.",
        )
    return name


def _tree(root: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the directory and its content without links, which no run can see either."""
    for path in (root, *root.rglob("*")):
        below = PurePosixPath(name, path.relative_to(root).as_posix())
        special = path.is_symlink() and path != root or not (path.is_file() or path.is_dir())
        if below.parts and not special and not set(below.parts) & set(OWN):
            yield str(below), path


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    member, status = tarfile.TarInfo(name), path.stat()
    member.mode, member.mtime = status.st_mode & MODE, int(status.st_mtime)
    if path.is_dir():
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
        return
    data = path.read_bytes()
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def place(bundle: Bundle, config: ProjectConfig, root: Path) -> None:
    """Make `root` contain the files of `bundle`, `config` as selab.yaml, and selab's own directories.

    Does nothing if they are there already. Raises SelabError if the bundle does not match its digest, or
    contains something that does not belong in a project.
    """
    text = _as_yaml(config)
    digest = hashlib.sha256(f"{bundle.digest} {text}".encode()).hexdigest()
    stamp = root / STAMP
    root.mkdir(parents=True, exist_ok=True)
    private_directory(stamp.parent)
    if _is_placed(stamp, digest):
        return
    fresh = Path(tempfile.mkdtemp(prefix="unpacked-", dir=stamp.parent))
    try:
        members = unpack(bundle, fresh)
        (fresh / CONFIG).write_text(text)
        remove(stamp)
        for old in root.iterdir():
            if old.name not in OWN:
                _remove(old)
        for new in fresh.iterdir():
            new.rename(root / new.name)
        _restore(members, root)
        write_private(stamp, digest.encode())
    except OSError as error:
        raise SelabError(
            "The project's files could not be put in place.",
            str(error),
            f"Check that {root} is writable and has free space.",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_placed(stamp: Path, digest: str) -> bool:
    """Return whether the bundle and the configuration with this digest are in place."""
    try:
        return read_private(stamp, 2 * len(digest)) == digest.encode()
    except (OSError, SelabError):
        return False


def unpack(bundle: Bundle, root: Path) -> list[tarfile.TarInfo]:
    """Unpack `bundle` into the empty directory `root`, and return its members.

    Raises SelabError as `place` does.
    """
    if hashlib.sha256(bundle.data).hexdigest() != bundle.digest:
        raise SelabError(
            "The project's files were damaged on the way.",
            f"Expected the digest {bundle.digest}.",
            "Run the command again.",
        )
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(bundle.data, MOST_UNPACKED)
        if inflate.unconsumed_tail:
            raise SelabError(
                "The project's files are too large.",
                f"They take more than {MOST_UNPACKED >> 20} MiB.",
                "Reduce the size of the files that volumes and `copy` steps take.",
            )
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = tar.getmembers()
            for member in members:
                _refuse_elsewhere(member)
            for member in members:
                _write(tar, member, root / member.name)
    except (tarfile.TarError, zlib.error, OSError, ValueError) as error:
        raise SelabError(
            "The project's files could not be unpacked.",
            str(error),
            "Check the free space on the worker, then run the command again.",
        ) from error
    return members


def _refuse_elsewhere(member: tarfile.TarInfo) -> None:
    """Raise SelabError unless the member is a file or directory of the user's below the project."""
    parts = PurePosixPath(member.name).parts
    if (
        not parts
        or parts[0] == "/"
        or ".." in parts
        or "\0" in member.name
        or {part.lower() for part in parts} & set(OWN)
    ):
        raise SelabError(
            "The project's files include a path outside of the project.", repr(member.name)[:200]
        )
    if not (member.isreg() or member.isdir()):
        raise SelabError(
            "The project's files include something that is neither file nor directory.",
            repr(member.name)[:200],
        )


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    file = tar.extractfile(member)
    with path.open("xb") as out:
        out.write(file.read() if file else b"")


def _restore(members: list[tarfile.TarInfo], root: Path) -> None:
    """Restore modes and times after all moves, those of a directory after those of its content."""
    for member in sorted(members, key=lambda each: each.name, reverse=True):
        (root / member.name).chmod(member.mode & MODE)
        os.utime(root / member.name, (member.mtime, member.mtime))


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for directory in (path, *path.rglob("*")):
        if directory.is_dir() and not directory.is_symlink():
            directory.chmod(0o700)  # The user's directory may forbid removing its content.
    shutil.rmtree(path)
