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
from selab.images.rootfs import Entry, ImageSource, Rootfs, read_image
from selab.project import nearest

VERSION = 1
"""Part of every box's digest: raise it when the same recipe gives another box."""


class GuestFile(BaseModel):
    """A file in the guest, root's own. `early` ones are there before the packages are installed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: Annotated[str, Field(pattern="^/[^ ]+$")]
    content: str
    mode: Annotated[int, Field(ge=0, le=0o777)] = 0o644
    early: bool = False

    @property
    def entry(self) -> Entry:
        return Entry(self.path, self.content.encode(), self.mode)


class Recipe(BaseModel):
    """What a box is made of; the keys are explained in debian13.toml."""

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
    """A box that can be built: its recipe, the images it carries, and the digest (sha256, hex) of both and of the builder."""

    profile: str
    recipe: Recipe
    images: tuple[ImageSource, ...]
    digest: str


def profiles() -> list[str]:
    """The names of the boxes that selab can build."""
    return sorted(
        Path(file.name).stem
        for file in importlib.resources.files("selab.vm.box").iterdir()
        if file.name.endswith(".toml")
    )


def parse(text: str) -> Recipe:
    """The recipe in `text`. Raises SelabError, since a recipe comes with selab."""
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SelabError("A recipe of a box is not valid.", " ".join(str(error).split())[:200]) from error


def plan(profile: str, images_dir: Path) -> Plan:
    """The plan for the box `profile` with the images of `images_dir`; an image that is not there is left out. Raises InputError."""
    if profile not in profiles():
        raise InputError(f"selab cannot build a box '{profile}'.", hint=nearest(profile, profiles()))
    recipe = parse(importlib.resources.files("selab.vm.box").joinpath(f"{profile}.toml").read_text())
    images = tuple(read_image(images_dir / name) for name in recipe.images if (images_dir / name).is_dir())
    return Plan(profile, recipe, images, _digest(recipe, images))


def _digest(recipe: Recipe, images: tuple[ImageSource, ...]) -> str:
    everything = [VERSION, ROOTFS_VERSION, recipe.model_dump(mode="json"), [image.digest for image in images]]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
