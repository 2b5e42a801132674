"""The boxes in the cache directory: a finished one has its box.json, and got its name only when it was complete."""

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
from selab.host.local import LocalHost
from selab.images.rootfs import REMOVE_TIMEOUT, as_root
from selab.progress import Progress
from selab.project import nearest

FACTS = "box.json"
HALF = ".half-"
LOCK_WAIT = 3600.0
"""Seconds to wait for another selab's build."""
SHORT = 12
"""Digits of a digest that a name has."""


@dataclass(frozen=True)
class Box:
    """A box on this machine. `name` is what Vagrant calls it; `file` the .box; `kernel`, `initrd` and `cmdline` what libvirt boots,
    since its disk has no boot loader. `directory` holds them all."""

    name: str
    profile: str
    directory: Path
    file: Path
    kernel: Path
    initrd: Path
    cmdline: str
    digest: str


def boxes_dir() -> Path:
    path = cache_dir() / "boxes"
    if not path.exists():
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    return path


def name_of(profile: str, digest: str) -> str:
    return f"selab-{profile}-{digest[:SHORT]}"


def box_at(directory: Path, profile: str, digest: str, cmdline: str) -> Box:
    return Box(
        name_of(profile, digest),
        profile,
        directory,
        directory / "box.box",
        directory / "vmlinuz",
        directory / "initrd.img",
        cmdline,
        digest,
    )


def directory_of(profile: str, digest: str) -> Path:
    return boxes_dir() / f"{profile}-{digest[:SHORT]}"


def read_box(directory: Path) -> Box | None:
    """The box in `directory`, or None where there is none, or one that lacks a file."""
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
    """Whether the file is there, and whole. Boxes of selab 0.1.0 did not write down their sizes."""
    return path.is_file() and size in (None, path.stat().st_size)


def list_boxes() -> list[Box]:
    """The boxes that were built here, the newest first."""
    found = sorted(boxes_dir().glob(f"*/{FACTS}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [box for path in found if (box := read_box(path.parent))]


def remove_box(name: str) -> None:
    """Remove a box that was built here. Vagrant's copy, and VMs made from it, stay. Raises InputError where there is no such box."""
    known = {box.name: box for box in list_boxes()}
    if name not in known:
        raise InputError(f"There is no box '{name}' here.", hint=nearest(name, list(known)))
    half = boxes_dir() / f"{HALF}removed-{known[name].directory.name}"
    known[name].directory.rename(half)
    remove_tree(half)


def remove_tree(directory: Path) -> None:
    """Remove `directory` also where files in it belong to our subordinate ids, as a root file system's do."""
    if directory.exists():
        LocalHost().run(as_root(["rm", "-rf", "--one-file-system", str(directory)]), timeout=REMOVE_TIMEOUT)
    if directory.exists():
        raise SelabError(
            "What an earlier build has left cannot be removed.", str(directory), "Remove it by hand."
        )


@contextmanager
def building(progress: Progress) -> Iterator[None]:
    """Be the only one who builds; what a killed build has left is removed first."""
    with alone(boxes_dir() / ".lock", LOCK_WAIT, "building a box", progress):
        for left in boxes_dir().glob(f"{HALF}*"):
            remove_tree(left)
        yield


@contextmanager
def half_made(facts: Box) -> Iterator[Path]:
    """A directory to build in, which takes its place as `facts.directory` when the block ends well, and is removed when not."""
    half = Path(tempfile.mkdtemp(prefix=HALF, dir=boxes_dir()))
    try:
        yield half
        told: dict[str, Any] = {key: asdict(facts)[key] for key in ("name", "profile", "cmdline", "digest")}
        told["sizes"] = {path.name: path.stat().st_size for path in half.iterdir() if path.is_file()}
        write_json(half / FACTS, told)
        # QEMU may run as another user, which must be able to read these whatever our umask is.
        LocalHost().run(["chmod", "-R", "u+w,a+rX", str(half)]).expect(
            "The box's files cannot be made readable."
        )
        if facts.directory.exists():
            shutil.move(facts.directory, half.with_name(f"{half.name}-replaced"))
        half.rename(facts.directory)
    finally:
        for left in (half, half.with_name(f"{half.name}-replaced")):
            remove_tree(left)
