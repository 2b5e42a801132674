"""Which box a new VM is made from."""

from __future__ import annotations

import functools
import importlib.resources
import os
import re
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import BoxSource, Project

HEAD_LIMIT = 3.0
"""Seconds to find out whether the box site can be reached; without a network the name lookup fails at once."""
SUMS_LIMIT = 15.0
"""Seconds for a checksum file of some hundred bytes."""
BUILT = "debian13"
PREFERRED = "centos9"


@dataclass(frozen=True)
class Profile:
    """A kind of guest, from profiles.toml."""

    name: str
    family: str
    cpu: tuple[str, ...]
    sums: str
    urls: dict[str, str]


@dataclass(frozen=True)
class Choice:
    """The box that was taken, why, and what Vagrant needs to know of it. `kernel`, `initrd` and `cmdline` are for boxes without a
    boot loader; empty otherwise."""

    profile: str
    name: str
    url: str
    sha256: str = ""
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    cpu: tuple[str, ...] = ()
    why: str = ""


@functools.cache
def profiles() -> dict[str, Profile]:
    data = tomllib.loads(importlib.resources.files("selab.vm").joinpath("profiles.toml").read_text())
    return {name: Profile(name, fields["family"], tuple(fields["cpu"]), fields["sums"], fields["urls"]) for name, fields in data.items()}


def choose(project: Project, provider: str, progress: Progress) -> Choice:
    """The box for a new VM of `project`: the one that selab.yaml names; else CentOS if it is at hand or can be had; else one built here."""
    config = project.config.vm
    if config.source is not None and (config.source.url or config.source.file):
        return _own(config.source, config.box)
    if config.box == BUILT:
        return _built(project, provider, progress, "selab.yaml asks for it")
    if config.box != "auto":
        return _downloaded(profiles()[config.box], provider, "selab.yaml asks for it")
    profile = profiles()[PREFERRED]
    if in_store(_store_name(profile.name), provider):
        return _downloaded(profile, provider, "it is in Vagrant's store")
    problem = _unreachable(profile.urls[provider])
    if not problem:
        return _downloaded(profile, provider, "its download site answers")
    if provider != "libvirt":
        raise SelabError(
            "There is no box for VirtualBox without a network.", f"{profile.urls[provider]}: {problem}", "Give one as `vm.source`."
        )
    return _built(project, provider, progress, f"no CentOS box here and its site cannot be reached: {problem}")


def in_store(name: str, provider: str) -> bool:
    """Whether Vagrant's store has the box; looked up in its directory, since asking Vagrant takes a second."""
    home = Path(os.environ.get("VAGRANT_HOME", "~/.vagrant.d")).expanduser()
    return any(home.glob(f"boxes/{name}/*/**/{provider}/metadata.json"))


def _store_name(profile: str) -> str:
    return f"selab-{profile}"


def _own(source: BoxSource, box: str) -> Choice:
    profile = box if box != "auto" else PREFERRED
    cpu = profiles()[profile].cpu
    if source.file:
        path = Path(source.file).expanduser().resolve()
        if not path.is_file():
            raise InputError("The box file of selab.yaml does not exist.", str(path))
        return Choice(profile, f"selab-own-{path.stem}", path.as_uri(), source.sha256, cpu=cpu, why="selab.yaml gives its file")
    if not source.sha256:
        raise InputError("A box by URL needs its sha256.", source.url, "Add `sha256:` beside `url:` in selab.yaml.")
    return Choice(profile, f"selab-own-{source.sha256[:12]}", source.url, source.sha256, cpu=cpu, why="selab.yaml gives its URL")


def _built(project: Project, provider: str, progress: Progress, why: str) -> Choice:
    if provider != "libvirt":
        raise SelabError(f"The box {BUILT} needs libvirt.", "It has no boot loader; libvirt boots its kernel directly.", "Use centos9.")
    from selab.vm import box as builder

    made = builder.find_box(BUILT, project.images) or builder.build_box(BUILT, project.images, progress)
    return Choice(
        BUILT, made.name, Path(made.file).as_uri(), kernel=str(made.kernel), initrd=str(made.initrd), cmdline=made.cmdline,
        cpu=profiles()[BUILT].cpu, why=why,
    )  # fmt: skip


def _downloaded(profile: Profile, provider: str, why: str) -> Choice:
    url = profile.urls.get(provider)
    if url is None:
        raise InputError(f"There is no {profile.name} box for {provider}.", hint="Give one as `vm.source`, or take another box.")
    name = _store_name(profile.name)
    sha256 = "" if in_store(name, provider) else _fetch_sum(url, profile.sums)
    return Choice(profile.name, name, url, sha256, cpu=profile.cpu, why=why)


def _unreachable(url: str) -> str:
    """Why `url` cannot be had, or ""."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HEAD_LIMIT):
            return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__)


def _fetch_sum(url: str, suffix: str) -> str:
    try:
        with urllib.request.urlopen(url + suffix, timeout=SUMS_LIMIT) as answer:
            text = answer.read(65536).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise SelabError(
            "The checksum of the box cannot be had.", f"{url}{suffix}: {error}", "Give the box as `vm.source` with its sha256."
        ) from error
    found = re.search(r"\b[0-9a-f]{64}\b", text)
    if found is None:
        raise SelabError("The checksum file of the box holds no sha256.", url + suffix, "Give the box as `vm.source` with its sha256.")
    return found.group(0)
