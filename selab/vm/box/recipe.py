"""The recipe of a box: a TOML file beside this module, and the images that the box carries."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selab.errors import InputError, SelabError
from selab.images.rootfs import VERSION as ROOTFS_VERSION
from selab.images.rootfs import Entry, Rootfs
from selab.images.source import ImageSource, read_image
from selab.project import nearest

VERSION = 1
"""Part of every box's digest. Raise it if the same recipe produces a different box."""


class GuestFile(BaseModel):
    """A file in the guest, which belongs to root.

    path: absolute path in the guest.
    content: text of the file.
    mode: permission bits.
    early: whether the file exists before the packages are installed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: Annotated[str, Field(pattern="^/[^ ]+$")]
    content: str
    mode: Annotated[int, Field(ge=0, le=0o777)] = 0o644
    early: bool = False

    @property
    def entry(self) -> Entry:
        return Entry(self.path, self.content.encode(), self.mode)


class Recipe(BaseModel):
    """The recipe of a box. debian13.toml explains the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    suite: str
    disk_gib: Annotated[int, Field(ge=4, le=2048)]
    cmdline: str
    images: tuple[str, ...] = ()
    packages: tuple[str, ...]
    enabled: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    setup: str = ""
    file: tuple[GuestFile, ...] = ()

    @property
    def rootfs(self) -> Rootfs:
        units = [
            f"systemctl {verb} -- {shlex.join(names)}"
            for verb, names in (("enable", self.enabled), ("mask", self.masked))
            if names
        ]
        return Rootfs(
            self.suite,
            "minbase",
            self.packages,
            early=tuple(file.entry for file in self.file if file.early),
            files=tuple(file.entry for file in self.file if not file.early),
            setup="\n".join([*units, self.setup]),
        )


@dataclass(frozen=True)
class Plan:
    """A box that can be built.

    profile: name of the recipe.
    recipe: what the box is made of.
    images: container images that the box carries.
    digest: sha256 (hex) of the recipe, the images and the builder's version.
    """

    profile: str
    recipe: Recipe
    images: tuple[ImageSource, ...]
    digest: str


def profiles() -> list[str]:
    """Return the names of the boxes that selab can build."""
    return sorted(
        Path(file.name).stem
        for file in importlib.resources.files("selab.vm.box").iterdir()
        if file.name.endswith(".toml")
    )


def parse(text: str) -> Recipe:
    """Parse a recipe. Raises SelabError, because recipes are part of selab."""
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SelabError("A recipe of a box is not valid.", " ".join(str(error).split())[:200]) from error


def plan(profile: str, images_dir: Path) -> Plan:
    """Return the plan for the box `profile` with those of its images that exist in `images_dir`. Raises
    InputError."""
    if profile not in profiles():
        raise InputError(f"selab cannot build a box '{profile}'.", hint=nearest(profile, profiles()))
    recipe = parse(importlib.resources.files("selab.vm.box").joinpath(f"{profile}.toml").read_text())
    images = tuple(read_image(images_dir / name) for name in recipe.images if (images_dir / name).is_dir())
    return Plan(profile, recipe, images, _digest(recipe, images))


def _digest(recipe: Recipe, images: tuple[ImageSource, ...]) -> str:
    everything = [VERSION, ROOTFS_VERSION, recipe.model_dump(mode="json"), [image.digest for image in images]]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
