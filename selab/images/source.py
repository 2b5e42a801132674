"""Image sources: directories below images/, and their root file systems, built from packages."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from selab.errors import InputError
from selab.host.cache import alone
from selab.images.rootfs import BUILD_TIMEOUT, VERSION, Entry, Rootfs, build_tar
from selab.progress import Progress
from selab.project import inside

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""A package's name (Debian Policy 5.6.7). apt also accepts patterns and files."""
CHANGES = ("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "USER", "WORKDIR", "VOLUME")
"""The instructions of a Dockerfile that `docker import --change` accepts."""


@dataclass(frozen=True)
class ImageSource:
    """A directory below images/, which contains `packages`, a `Dockerfile`, and `files/`.

    name: the directory's name.
    directory: its path.
    suite: the Debian suite of the Dockerfile.
    packages: the packages to install.
    files: the files to add.
    changes: the Dockerfile's lines that say how the image runs, for `docker import --change`.
    digest: SHA-256 in hex; it changes with every file of the directory, and with VERSION.
    """

    name: str
    directory: Path
    suite: str
    packages: tuple[str, ...]
    files: tuple[Entry, ...]
    changes: tuple[str, ...]
    digest: str

    @property
    def tar_name(self) -> str:
        """The file name of its root file system, in the cache and in a box."""
        return f"{self.name}-{self.digest[:12]}.tar"


def read_image(directory: Path) -> ImageSource:
    """Read the image that `directory` describes. Raises InputError if it is not valid."""
    whose = f"The image '{directory.name}'"
    try:
        packages = tuple(inside(directory, directory / "packages", whose).read_text().split())
        dockerfile = inside(directory, directory / "Dockerfile", whose).read_text()
        files = tuple(_tree(inside(directory, directory / "files", whose)))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The image '{directory.name}' cannot be read.",
            str(error),
            "An image has a Dockerfile and a list `packages`.",
        ) from error
    if strange := [name for name in packages if not PACKAGE.fullmatch(name)]:
        raise InputError(
            f"'{strange[0][:80]}' is not the name of a package.",
            str(directory / "packages"),
            "Write one name per line.",
        )
    suite, changes = read_dockerfile(dockerfile)
    listed = [(entry.path, entry.mode, hashlib.sha256(entry.data).hexdigest()) for entry in files]
    everything = json.dumps([VERSION, directory.name, dockerfile, packages, listed])
    return ImageSource(
        directory.name,
        directory,
        suite,
        packages,
        files,
        changes,
        hashlib.sha256(everything.encode()).hexdigest(),
    )


def read_dockerfile(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the Debian suite of the Dockerfile, and its lines that say how the image runs."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = [line.strip() for line in re.sub(r"(?<![ \t])[ \t]*\\[ \t]*\n[ \t]*", " ", code).splitlines()]
    words = [(line.partition(" ")[0].upper(), line.partition(" ")[2]) for line in lines if line]
    suites = [
        match.group(1)
        for word, rest in words
        if word == "FROM" and (match := re.match(r"debian:([a-z]+)(-slim)?( |$)", rest))
    ]
    if len(suites) != 1:
        raise InputError(
            "The Dockerfile of an image must start FROM one debian:SUITE.",
            "This Dockerfile does not.",
            "Write `FROM debian:trixie-slim`.",
        )
    return suites[0], tuple(f"{word} {rest}" for word, rest in words if word in CHANGES)


def _tree(root: Path) -> Iterable[Entry]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            yield Entry(f"/{path.relative_to(root)}", path.read_bytes(), mode)


def image_tar(source: ImageSource, cache: Path, progress: Progress, stop: Event | None = None) -> Path:
    """Return the image's file system as a tar in `cache`, and build it if it does not exist."""
    tar = cache / "images" / source.tar_name
    if not _is_whole(tar):
        tar.parent.mkdir(parents=True, exist_ok=True)
        build_image_tar(source, tar, progress, stop)
    return tar


def _is_whole(tar: Path) -> bool:
    """Return whether the file ends with two blocks of zeros, as a complete tar does."""
    try:
        with tar.open("rb") as file:
            file.seek(-2 * tarfile.BLOCKSIZE, os.SEEK_END)
            return file.read() == bytes(2 * tarfile.BLOCKSIZE)
    except OSError:
        return False


def build_image_tar(source: ImageSource, out: Path, progress: Progress, stop: Event | None = None) -> None:
    """Build the image's file system as the tar `out`, for `docker import`. Processes take turns."""
    lock = alone(
        out.with_name(f".{out.name}.lock"), BUILD_TIMEOUT, f"building the image {source.name}", progress
    )
    with progress.step(f"Building the image {source.name} from packages"), lock:
        if not _is_whole(out):
            out.unlink(missing_ok=True)
            build_tar(Rootfs(source.suite, "essential", source.packages, overlay=source.files), out, stop)
