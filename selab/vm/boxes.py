"""Which box a new VM is made from."""

from __future__ import annotations

import functools
import importlib.resources
import os
import re
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selab.errors import InputError, SelabError
from selab.progress import Progress
from selab.project import BoxSource, Project

HEAD_LIMIT = 3.0
"""Seconds to find out whether the box site can be reached; without a network the name lookup fails at once."""
SUMS_LIMIT = 15.0
"""Seconds for a checksum file of some hundred bytes, or an index of some hundred names."""
OWN_BOX = "Give the box as `vm.source` with its sha256."
BUILT = "debian13"
PREFERRED = "centos9"


@dataclass(frozen=True)
class Newest:
    """A box that its site keeps under dated names only: the page that lists them, and the name with `*` for the date."""

    index: str
    name: str


@dataclass(frozen=True)
class Profile:
    """A kind of guest, from profiles.toml, which says what the fields are. `urls` and `newest` are by provider."""

    name: str
    family: str
    cpu: tuple[str, ...]
    agent: bool
    sums: str
    urls: dict[str, str]
    newest: dict[str, Newest] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The box that was taken, why, and what Vagrant needs to know of it. `kernel`, `initrd` and `cmdline` are for boxes without a
    boot loader; empty otherwise. `agent`: QEMU's guest agent runs in it."""

    profile: str
    name: str
    url: str
    sha256: str = ""
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    cpu: tuple[str, ...] = ()
    agent: bool = False
    why: str = ""


@functools.cache
def profiles() -> dict[str, Profile]:
    data = tomllib.loads(importlib.resources.files("selab.vm").joinpath("profiles.toml").read_text())
    return {name: _profile(name, **fields) for name, fields in data.items()}


def _profile(
    name: str, cpu: list[str], newest: dict[str, dict[str, str]] | None = None, **fields: Any
) -> Profile:
    return Profile(
        name,
        cpu=tuple(cpu),
        newest={provider: Newest(**one) for provider, one in (newest or {}).items()},
        **fields,
    )


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
            "There is no box for VirtualBox without a network.",
            f"{profile.urls[provider]}: {problem}",
            "Give one as `vm.source`.",
        )
    return _built(
        project, provider, progress, f"no CentOS box here and its site cannot be reached: {problem}"
    )


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
        return Choice(
            profile,
            f"selab-own-{path.stem}",
            path.as_uri(),
            source.sha256,
            cpu=cpu,
            why="selab.yaml gives its file",
        )
    if not source.sha256:
        raise InputError(
            "A box by URL needs its sha256.", source.url, "Add `sha256:` beside `url:` in selab.yaml."
        )
    return Choice(
        profile,
        f"selab-own-{source.sha256[:12]}",
        source.url,
        source.sha256,
        cpu=cpu,
        why="selab.yaml gives its URL",
    )


def _built(project: Project, provider: str, progress: Progress, why: str) -> Choice:
    if provider != "libvirt":
        raise SelabError(
            f"The box {BUILT} needs libvirt.",
            "It has no boot loader; libvirt boots its kernel directly.",
            "Use centos9.",
        )
    from selab.vm import box as builder

    made = builder.find_box(BUILT, project.images) or builder.build_box(BUILT, project.images, progress)
    return Choice(
        BUILT, made.name, Path(made.file).as_uri(), kernel=str(made.kernel), initrd=str(made.initrd), cmdline=made.cmdline,
        cpu=profiles()[BUILT].cpu, agent=profiles()[BUILT].agent, why=why,
    )  # fmt: skip


def _downloaded(profile: Profile, provider: str, why: str) -> Choice:
    name = _store_name(profile.name)
    if provider not in profile.urls and provider not in profile.newest:
        raise InputError(
            f"There is no {profile.name} box for {provider}.",
            hint="Give one as `vm.source`, or take another box.",
        )
    url, sha256 = profile.urls.get(provider, ""), ""
    if not in_store(name, provider):
        url = url or _newest_url(profile.newest[provider])
        sha256 = _fetch_sum(url, profile.sums)
    return Choice(profile.name, name, url, sha256, cpu=profile.cpu, agent=profile.agent, why=why)


def _newest_url(wanted: Newest) -> str:
    """The URL of the box with the greatest date (`20250113.0`) that the index lists."""
    pattern = re.escape(wanted.name).replace(r"\*", r"(\d{8})\.(\d+)")
    text = _fetched(wanted.index, 1 << 22, "The list of the boxes cannot be had.")
    dates = [(found[1], int(found[2])) for found in re.finditer(rf"{pattern}(?![\w.])", text)]
    if not dates:
        raise SelabError(
            "The box is not among those that its site lists.", f"{wanted.index}: no {wanted.name}", OWN_BOX
        )
    day, number = max(dates)
    return wanted.index + wanted.name.replace("*", f"{day}.{number}")


def _unreachable(url: str) -> str:
    """Why `url` cannot be had, or ""."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HEAD_LIMIT):
            return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__)


def _fetch_sum(url: str, suffix: str) -> str:
    text = _fetched(url + suffix, 1 << 16, "The checksum of the box cannot be had.")
    found = re.search(r"\b[0-9a-f]{64}\b", text)
    if found is None:
        raise SelabError("The checksum file of the box holds no sha256.", url + suffix, OWN_BOX)
    return found.group(0)


def _fetched(url: str, most: int, what: str) -> str:
    """At most `most` bytes of the text at `url`. Raises SelabError with the sentence `what`."""
    try:
        with urllib.request.urlopen(url, timeout=SUMS_LIMIT) as answer:
            return str(answer.read(most).decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise SelabError(what, f"{url}: {error}", OWN_BOX) from error
