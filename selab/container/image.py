"""Have the scenario's image in the guest's Docker: already there, imported from the box, or built from the project's Dockerfile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.guest import Guest
from selab.progress import Progress
from selab.project import NAME, Project, inside
from selab.rootfs import ImageSource, can_build_images, image_tar, read_image

BOX_IMAGES = "/var/lib/selab/images"
"""Where a box that selab built carries the file systems of its images."""
IMPORT_TIMEOUT = 600.0
"""Seconds for `docker import` of some hundred megabytes: 35 in an emulated guest for 140."""
BUILD_TIMEOUT = 1800.0
"""Seconds for `docker build`, which fetches packages over whatever line there is."""


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


def ensure_image(guest: Guest, image: Image, cache: Path, progress: Progress) -> None:
    """Have `image` in the guest's Docker; called only when `docker run` found it missing."""
    with progress.step(f"Getting the image {image.reference} into the guest's Docker (once)", "image"):
        if image.source is None:
            _docker(guest, ["pull", "--quiet", image.reference], f"The image '{image.reference}' cannot be pulled.", BUILD_TIMEOUT)
        elif not _import_from_box(guest, image, image.source):
            _bring(guest, image, image.source, cache, progress)


def _import_from_box(guest: Guest, image: Image, source: ImageSource) -> bool:
    path = f"{BOX_IMAGES}/{source.tar_name}"
    if not guest.run(["test", "-s", path]).ok:
        return False
    _import(guest, image, source, path)
    return True


def _import(guest: Guest, image: Image, source: ImageSource, path: str) -> None:
    changes = [word for change in source.changes for word in ("--change", change)]
    _docker(guest, ["import", *changes, path, image.reference], f"The image '{source.name}' cannot be imported.", IMPORT_TIMEOUT)


def _bring(guest: Guest, image: Image, source: ImageSource, cache: Path, progress: Progress) -> None:
    """Make the image where the box does not carry it: on the host from packages, or in the guest by its Dockerfile."""
    if can_build_images():
        there = f"{BOX_IMAGES}/{source.tar_name}"
        guest.put(image_tar(source, cache, progress).read_bytes(), there)
        _import(guest, image, source, there)
        return
    for path in sorted(source.directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            guest.put(path.read_bytes(), f"/var/lib/selab/build-image/{source.name}/{path.relative_to(source.directory)}")
    there = f"/var/lib/selab/build-image/{source.name}"
    _docker(guest, ["build", "--quiet", "--tag", image.reference, there], f"The image '{source.name}' cannot be built.", BUILD_TIMEOUT)


def _docker(guest: Guest, arguments: Sequence[str], what: str, timeout: float) -> None:
    guest.run(["docker", *arguments], timeout=timeout).expect(what, hint="Run `selab doctor`; the whole output is in .selab/selab.log.")


def docker_security(guest: Guest) -> bool:
    """Whether the guest's Docker sets labels. Without `selinux-enabled` it ignores them in silence and runs containers as spc_t."""
    done = guest.run(["docker", "info", "--format", "{{json .SecurityOptions}}"]).expect("Docker does not answer in the guest.")
    try:
        return any("selinux" in option for option in json.loads(done.text))
    except (ValueError, TypeError) as error:
        raise SelabError("Docker's security options cannot be read.", done.text[:100]) from error
