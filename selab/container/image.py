"""Provide the scenario's image in the guest's container runtime.

An image that is missing is pulled, imported from the box, or built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from selab.container.runtime import Runtime
from selab.errors import InputError
from selab.guest import IN_THE_LOG, Guest
from selab.images.rootfs import can_build_images
from selab.images.source import ImageSource, image_tar, read_image
from selab.progress import Progress
from selab.project import NAME, Project, inside

BOX_IMAGES = "/var/lib/selab/images"
"""The directory in which a box that selab built has the file systems of its images."""
_PAIR = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""")
IMPORT_TIMEOUT = 600.0
"""Seconds to import a few hundred megabytes: an emulated guest takes 35 for 140."""
BUILD_TIMEOUT = 1800.0
"""Seconds for a build or a pull, which may download over a slow line."""

Online = Callable[[], AbstractContextManager[None]]
"""Opens the guest's network for a block."""


@dataclass(frozen=True)
class Image:
    """An image of a scenario.

    reference: name that the runtime knows it by.
    source: the project's directory for it, or None if it comes from a registry.
    """

    reference: str
    source: ImageSource | None


def find_image(project: Project, name: str) -> Image:
    """Return the image that a scenario names: a directory below images/, or a reference to pull."""
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


def ensure_image(
    guest: Guest, runtime: Runtime, image: Image, cache: Path, progress: Progress, online: Online
) -> None:
    """Bring `image`, which is missing, into the guest's `runtime`. `online` opens the guest's network."""
    store = _Store(guest, runtime)
    with progress.step(
        f"Getting the image {image.reference} into the guest's {runtime.title} (once)", "image"
    ):
        if image.source is None:
            reference = runtime.reference(image.reference)
            with online():
                store.run(
                    ["pull", "--quiet", reference],
                    f"The image '{image.reference}' cannot be pulled.",
                    BUILD_TIMEOUT,
                )
        elif not _import_from_box(store, image, image.source):
            _bring(store, image, image.source, cache, progress, online)


@dataclass(frozen=True)
class _Store:
    """The images of a runtime in a guest."""

    guest: Guest
    runtime: Runtime

    def run(self, arguments: Sequence[str], what: str, timeout: float) -> None:
        done = self.guest.run(self.runtime.argv(*arguments), timeout=timeout)
        done.expect(what, hint=f"Run `selab doctor`. {IN_THE_LOG}")


def _import_from_box(store: _Store, image: Image, source: ImageSource) -> bool:
    path = f"{BOX_IMAGES}/{source.tar_name}"
    if not store.guest.run(["test", "-s", path]).ok:
        return False
    _import(store, image, source, path)
    return True


def _import(store: _Store, image: Image, source: ImageSource, path: str) -> None:
    changes = [
        word
        for change in source.changes
        for instruction in _one_variable_each(change)
        for word in ("--change", instruction)
    ]
    store.run(
        ["import", *changes, path, image.reference],
        f"The image '{source.name}' cannot be imported.",
        IMPORT_TIMEOUT,
    )


def _one_variable_each(change: str) -> list[str]:
    """Split an `ENV` with several variables: Podman takes all of them for the first one's value."""
    word, _, rest = change.partition(" ")
    pairs = _PAIR.findall(rest) if word == "ENV" else []
    return [f"ENV {pair}" for pair in pairs] if pairs and all("=" in pair for pair in pairs) else [change]


def _bring(
    store: _Store, image: Image, source: ImageSource, cache: Path, progress: Progress, online: Online
) -> None:
    """Build an image that the box does not have: on this machine from packages, or in the guest."""
    if can_build_images():
        tar = f"{BOX_IMAGES}/{source.tar_name}"
        store.guest.put(image_tar(source, cache, progress).read_bytes(), tar)
        _import(store, image, source, tar)
        return
    directory = f"/var/lib/selab/build-image/{source.name}"
    for path in sorted(source.directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            store.guest.put(path.read_bytes(), f"{directory}/{path.relative_to(source.directory)}")
    with online():
        store.run(
            ["build", "--quiet", "--tag", image.reference, directory],
            f"The image '{source.name}' cannot be built.",
            BUILD_TIMEOUT,
        )
