"""Have the scenario's image in the guest's container runtime: there already, imported from the box, or built from its Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.container.runtime import Runtime
from selab.errors import InputError
from selab.guest import Guest
from selab.images.rootfs import ImageSource, can_build_images, image_tar, read_image
from selab.progress import Progress
from selab.project import NAME, Project, inside

BOX_IMAGES = "/var/lib/selab/images"
"""Where a box that selab built carries the file systems of its images."""
_PAIR = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
IMPORT_TIMEOUT = 600.0
"""Seconds to import some hundred megabytes: 35 in an emulated guest for 140."""
BUILD_TIMEOUT = 1800.0
"""Seconds for a build, which fetches packages over whatever line there is."""


@dataclass(frozen=True)
class Image:
    """`reference` is what `docker run` is given; `source` the project's directory for it, where it has one."""

    reference: str
    source: ImageSource | None


def find_image(project: Project, name: str) -> Image:
    """The image a scenario names: a directory below images/, or else a reference that Docker can pull."""
    directory = project.images / name
    if NAME.fullmatch(name) and directory.is_dir():
        inside(project.root, directory, f"The image '{name}'")
        source = read_image(directory)
        return Image(f"selab/{name.lower()}:{source.digest[:12]}", source)
    if "/" not in name and ":" not in name:
        known = sorted(path.name for path in project.images.iterdir()) if project.images.is_dir() else []
        raise InputError(
            f"There is no image '{name}'.",
            f"Looked in {project.images}: {', '.join(known) or 'nothing'}.",
            f"A registry's image needs its tag: {name}:latest.",
        )
    return Image(name, None)


def ensure_image(guest: Guest, runtime: Runtime, image: Image, cache: Path, progress: Progress) -> None:
    """Have `image` in the guest's `runtime`; called only when that found it missing."""
    store = _Store(guest, runtime)
    with progress.step(
        f"Getting the image {image.reference} into the guest's {runtime.title} (once)", "image"
    ):
        if image.source is None:
            reference = runtime.reference(image.reference)
            store.run(
                ["pull", "--quiet", reference],
                f"The image '{image.reference}' cannot be pulled.",
                BUILD_TIMEOUT,
            )
        elif not _import_from_box(store, image, image.source):
            _bring(store, image, image.source, cache, progress)


@dataclass(frozen=True)
class _Store:
    """A runtime's images in a guest."""

    guest: Guest
    runtime: Runtime

    def run(self, arguments: Sequence[str], what: str, timeout: float) -> None:
        done = self.guest.run(self.runtime.argv(*arguments), timeout=timeout)
        done.expect(what, hint="Run `selab doctor`; the whole output is in .selab/selab.log.")


def _import_from_box(store: _Store, image: Image, source: ImageSource) -> bool:
    path = f"{BOX_IMAGES}/{source.tar_name}"
    if not store.guest.run(["test", "-s", path]).ok:
        return False
    _import(store, image, source, path)
    return True


def _import(store: _Store, image: Image, source: ImageSource, path: str) -> None:
    changes = [word for change in source.changes for one in _one_each(change) for word in ("--change", one)]
    store.run(
        ["import", *changes, path, image.reference],
        f"The image '{source.name}' cannot be imported.",
        IMPORT_TIMEOUT,
    )


def _one_each(change: str) -> list[str]:
    """An `ENV` of several variables as one of each: Podman takes all of them for the first one's value."""
    word, _, rest = change.partition(" ")
    pairs = _PAIR.findall(rest) if word == "ENV" else []
    return [f"ENV {pair}" for pair in pairs] if pairs and all("=" in pair for pair in pairs) else [change]


def _bring(store: _Store, image: Image, source: ImageSource, cache: Path, progress: Progress) -> None:
    """Make the image where the box does not carry it: on the host from packages, or in the guest by its Dockerfile."""
    if can_build_images():
        there = f"{BOX_IMAGES}/{source.tar_name}"
        store.guest.put(image_tar(source, cache, progress).read_bytes(), there)
        _import(store, image, source, there)
        return
    for path in sorted(source.directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            store.guest.put(
                path.read_bytes(),
                f"/var/lib/selab/build-image/{source.name}/{path.relative_to(source.directory)}",
            )
    there = f"/var/lib/selab/build-image/{source.name}"
    store.run(
        ["build", "--quiet", "--tag", image.reference, there],
        f"The image '{source.name}' cannot be built.",
        BUILD_TIMEOUT,
    )
