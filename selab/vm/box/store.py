"""The boxes in the cache directory. A finished box has a box.json, and gets its name only when it is
complete."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selab.errors import InputError, SelabError
from selab.host.cache import alone, cache_dir
from selab.host.files import write_json
from selab.host.labels import restore
from selab.host.local import LocalHost
from selab.images.rootfs import REMOVE_TIMEOUT, as_root
from selab.progress import Progress
from selab.project import nearest

BOXES = "boxes"
"""The directory of the boxes in the cache, whose label script/setup sets."""
FACTS = "box.json"
KERNEL, INITRD = "vmlinuz", "initrd.img"
HALF = ".half-"
LOCK_WAIT = 3600.0
"""Seconds to wait for another selab's build."""
SHORT = 12
"""Number of digits of the digest in a box's name."""


@dataclass(frozen=True)
class Box:
    """A box on this machine.

    name: name of the box in Vagrant.
    profile: name of its recipe.
    directory: directory that contains its files.
    file: the .box file.
    kernel: kernel that libvirt boots, because the disk has no boot loader.
    initrd: initrd that libvirt boots.
    cmdline: kernel command line.
    digest: sha256 (hex) of the plan.
    """

    name: str
    profile: str
    directory: Path
    file: Path
    kernel: Path
    initrd: Path
    cmdline: str
    digest: str


def boxes_dir() -> Path:
    path = cache_dir() / BOXES
    if not path.exists():
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        restore(path)  # what is built in it gets its label
    return path


def read_by_qemu(directory: Path) -> list[Path]:
    """Return the files of finished boxes in `directory` that QEMU opens itself. Vagrant copies the others."""
    return sorted(path for name in (KERNEL, INITRD) for path in directory.glob(f"[!.]*/{name}"))


def name_of(profile: str, digest: str) -> str:
    return f"selab-{profile}-{digest[:SHORT]}"


def box_at(directory: Path, profile: str, digest: str, cmdline: str) -> Box:
    return Box(
        name_of(profile, digest),
        profile,
        directory,
        directory / "box.box",
        directory / KERNEL,
        directory / INITRD,
        cmdline,
        digest,
    )


def directory_of(profile: str, digest: str) -> Path:
    return boxes_dir() / f"{profile}-{digest[:SHORT]}"


def read_box(directory: Path) -> Box | None:
    """Return the box in `directory`, or None if there is none or a file of it is missing."""
    try:
        facts = json.loads((directory / FACTS).read_text())
        box = box_at(directory, facts["profile"], facts["digest"], facts["cmdline"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sizes = facts.get("sizes") or {}
    return (
        box
        if all(_has_size(path, sizes.get(path.name)) for path in (box.file, box.kernel, box.initrd))
        else None
    )


def _has_size(path: Path, size: int | None) -> bool:
    """Return whether the file exists with its full size. Boxes of selab 0.1.0 did not record sizes."""
    return path.is_file() and size in (None, path.stat().st_size)


def list_boxes() -> list[Box]:
    """Return the boxes that were built here, newest first."""
    paths = sorted(boxes_dir().glob(f"*/{FACTS}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [box for path in paths if (box := read_box(path.parent))]


def remove_box(name: str) -> None:
    """Remove a box that was built here. Vagrant's copy and existing VMs remain. Raises InputError if there is
    no such box."""
    known = {box.name: box for box in list_boxes()}
    if name not in known:
        raise InputError(f"There is no box '{name}' here.", hint=nearest(name, list(known)))
    half = boxes_dir() / f"{HALF}removed-{known[name].directory.name}"
    known[name].directory.rename(half)
    remove_tree(half)


def remove_tree(directory: Path) -> None:
    """Remove `directory`, even if files in it belong to the user's subordinate ids, as those of a root file
    system do."""
    if directory.exists():
        LocalHost().run(as_root(["rm", "-rf", "--one-file-system", str(directory)]), timeout=REMOVE_TIMEOUT)
    if directory.exists():
        raise SelabError(
            "The remains of an earlier build cannot be removed.",
            str(directory),
            "Remove the directory by hand.",
        )


@contextmanager
def building(progress: Progress) -> Iterator[None]:
    """Hold the lock for building boxes. The remains of an interrupted build are removed first."""
    with alone(boxes_dir() / ".lock", LOCK_WAIT, "building a box", progress):
        for left in boxes_dir().glob(f"{HALF}*"):
            remove_tree(left)
        yield


@contextmanager
def half_made(facts: Box) -> Iterator[Path]:
    """Yield a directory to build in. If the block succeeds, it becomes `facts.directory`; otherwise it is
    removed."""
    half = Path(tempfile.mkdtemp(prefix=HALF, dir=boxes_dir()))
    try:
        yield half
        metadata: dict[str, Any] = {
            key: asdict(facts)[key] for key in ("name", "profile", "cmdline", "digest")
        }
        metadata["sizes"] = {path.name: path.stat().st_size for path in half.iterdir() if path.is_file()}
        write_json(half / FACTS, metadata)
        # QEMU may run as another user, who must be able to read the files whatever the umask is.
        LocalHost().run(["chmod", "-R", "u+w,a+rX", str(half)]).expect(
            "The box's files cannot be made readable."
        )
        if facts.directory.exists():
            shutil.move(facts.directory, half.with_name(f"{half.name}-replaced"))
        half.rename(facts.directory)
    finally:
        for left in (half, half.with_name(f"{half.name}-replaced")):
            remove_tree(left)
