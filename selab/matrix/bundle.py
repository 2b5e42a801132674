"""What the user wrote, as bytes for a worker: one state of the files for all runs of a matrix."""

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
from selab.project import CONFIG, Project, ProjectConfig
from selab.run.request import Plan

OWN = (".selab", ".vagrant")
"""What a project's directory holds that is no file of the user's: never sent, never replaced."""
STAMP = Path(".selab", "bundle")
MOST_SENT = 16 << 20
"""Bytes of a bundle, compressed: each run that waits has its own in the scheduler's memory."""
MOST_UNPACKED = 256 << 20
MODE = 0o777
"""The part of a file's mode that is kept."""
ENDINGS = (".te", ".fc", ".if", ".yaml", ".yml")


@dataclass(frozen=True)
class Bundle:
    """A compressed tar, and its SHA-256."""

    data: bytes
    digest: str


def pack(project: Project, plans: Iterable[Plan]) -> Bundle:
    """The Vagrantfile, policies, scenarios and images, and the volumes of `plans`. Raises InputError where that is too much to send."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in sorted(dict(_files(project, plans)).items()):
            _add(tar, name, path)
    data = zlib.compress(out.getvalue())
    if len(data) > MOST_SENT or out.tell() > MOST_UNPACKED:
        detail = f"They are {len(data) >> 20} MiB, compressed; {MOST_SENT >> 20} can be sent to a worker."
        raise InputError(
            "The files of the scenarios are too large for a matrix.",
            detail,
            "Make the volumes' directories smaller.",
        )
    return Bundle(data, hashlib.sha256(data).hexdigest())


def _as_yaml(config: ProjectConfig) -> str:
    return yaml.safe_dump(
        config.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True
    )


def _files(project: Project, plans: Iterable[Plan]) -> Iterator[tuple[str, Path]]:
    """Each file and directory by its name in the bundle; a policy or a scenario may be a link inside the project. All images are sent,
    since a box carries them all: with fewer it would be another one."""
    if (vagrantfile := project.vagrant_dir / "Vagrantfile").is_file():
        yield "Vagrantfile", vagrantfile
    for path in (*project.policies.glob("*.*"), *project.scenarios.glob("*.y*ml")):
        if (
            path.suffix in ENDINGS
            and path.is_file()
            and path.resolve().is_relative_to(project.root.resolve())
        ):
            yield f"{path.parent.name}/{path.name}", path
    for image in project.images.glob("*/"):
        if image.resolve().is_relative_to(project.root.resolve()):
            yield from _tree(image, f"images/{image.name}")
    for plan in plans:
        for volume in plan.scenario.volumes:
            if volume.source:
                yield from _tree(project.root / volume.source, _volume_name(volume.source))


def _volume_name(source: str) -> str:
    name = os.path.normpath(source).replace(os.sep, "/")
    if name.startswith("/"):
        raise InputError(
            f"The volume '{source}' is not below the project by its name.",
            hint="Write its path from selab.yaml on.",
        )
    return name


def _tree(root: Path, name: str) -> Iterator[tuple[str, Path]]:
    """The directory with all in it but links, which nothing that runs sees either."""
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
    """Have `root` hold the files of `bundle` and `config` as its selab.yaml, and nothing else but selab's own. Does nothing where it does.

    Raises SelabError where the bundle is not what its digest says, or holds something that does not belong into a project.
    """
    text = _as_yaml(config)
    wanted = hashlib.sha256(f"{bundle.digest} {text}".encode()).hexdigest()
    stamp = root / STAMP
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    fresh = Path(tempfile.mkdtemp(prefix="unpacked-", dir=stamp.parent))
    try:
        members = unpack(bundle, fresh)
        (fresh / CONFIG).write_text(text)
        stamp.unlink(missing_ok=True)
        for old in root.iterdir():
            if old.name not in OWN:
                _remove(old)
        for new in fresh.iterdir():
            new.rename(root / new.name)
        _restore(members, root)
        stamp.write_text(wanted)
    except OSError as error:
        raise SelabError("The project's files could not be put in place.", str(error)) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def unpack(bundle: Bundle, root: Path) -> list[tarfile.TarInfo]:
    """The files of `bundle` in the empty directory `root`, and what is known of them. Raises SelabError as `place` does."""
    if hashlib.sha256(bundle.data).hexdigest() != bundle.digest:
        raise SelabError(
            "The project's files did not arrive as they were sent.",
            f"Their digest should be {bundle.digest}.",
        )
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(bundle.data, MOST_UNPACKED)
        if inflate.unconsumed_tail:
            raise SelabError("The project's files are too large.", f"More than {MOST_UNPACKED >> 20} MiB.")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = tar.getmembers()
            for member in members:
                _refuse_elsewhere(member)
            for member in members:
                _write(tar, member, root / member.name)
    except (tarfile.TarError, zlib.error, OSError, ValueError) as error:
        raise SelabError("The project's files could not be unpacked.", str(error)) from error
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
        raise SelabError("The project's files have a name that leads elsewhere.", repr(member.name)[:200])
    if not (member.isreg() or member.isdir()):
        raise SelabError(
            "The project's files hold something that is neither file nor directory.", repr(member.name)[:200]
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
    """Modes and times, once nothing is to be moved any more; of a directory after what is in it."""
    for member in sorted(members, key=lambda each: each.name, reverse=True):
        (root / member.name).chmod(member.mode & MODE)
        os.utime(root / member.name, (member.mtime, member.mtime))


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for directory in (path, *path.rglob("*")):
        if directory.is_dir() and not directory.is_symlink():
            directory.chmod(0o700)  # the user's own may forbid that anything in it is removed
    shutil.rmtree(path)
