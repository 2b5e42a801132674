"""Choose the box for a new VM."""

from __future__ import annotations

import functools
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selab.errors import InputError, SelabError
from selab.host.tables import PROFILES, table
from selab.progress import Progress
from selab.project import BoxSource, Project

HEAD_LIMIT = 3.0
"""Seconds to determine whether the box site is reachable; without a network the lookup fails at once."""
SUMS_LIMIT = 15.0
"""Seconds for a checksum file of a few hundred bytes, or an index of a few hundred names."""
UNSIGNED = "its checksum comes from the same site and has no signature"
OWN_BOX = "Give the box as `vm.source` with its sha256."


@dataclass(frozen=True)
class Newest:
    """A box that its site offers under dated names only.

    index: URL of the page that lists the names.
    name: the name, with `*` for the date.
    """

    index: str
    name: str


@dataclass(frozen=True)
class Profile:
    """A guest that selab knows. `name` is the value of `box`; profiles.toml describes the other fields."""

    name: str
    family: str
    cpu: tuple[str, ...]
    agent: bool
    auto: str = ""
    sums: str = ""
    urls: dict[str, str] = field(default_factory=dict)
    newest: dict[str, Newest] = field(default_factory=dict)

    @property
    def is_built(self) -> bool:
        """Return whether the box is built on this machine, because no provider's can be downloaded."""
        return not self.urls and not self.newest


@dataclass(frozen=True)
class Choice:
    """The box that a VM is made from, and what Vagrant needs to know about it.

    profile: kind of guest.
    name: the box's name in Vagrant's store.
    url: URL to download it from.
    sha256: its checksum (hex), or "" if none is known.
    kernel: path of the kernel that libvirt boots, or "" if the box has a boot loader.
    initrd: path of that kernel's initial RAM disk, or "".
    cmdline: that kernel's parameters, or "".
    cpu: features that an emulated CPU needs in addition to its own.
    agent: whether QEMU's guest agent runs in it.
    why: reason for the choice, for the user.
    """

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
    """Return the profiles by name."""
    return {name: _profile(name, **entry) for name, entry in table(PROFILES).items()}


def _profile(
    name: str, cpu: list[str], newest: dict[str, dict[str, str]] | None = None, **entry: Any
) -> Profile:
    dated = {provider: Newest(**box) for provider, box in (newest or {}).items()}
    return Profile(name, cpu=tuple(cpu), newest=dated, **entry)


def preferred() -> str:
    """Return the profile that `box: auto` takes if its box is available."""
    return _auto("preferred")


def fallback() -> str:
    """Return the profile that `box: auto` takes if the preferred box is not available. It is built here."""
    return _auto("fallback")


def _auto(role: str) -> str:
    return next(name for name, profile in profiles().items() if profile.auto == role)


def choose(project: Project, provider: str, progress: Progress) -> Choice:
    """Return the box for a new VM of `project`.

    This is the box that selab.yaml names; otherwise the preferred one, if it is in Vagrant's store or can be
    downloaded; otherwise the fallback, which is built here.
    """
    config = project.config.vm
    if config.source is not None and (config.source.url or config.source.file):
        return _own(config.source, config.box)
    if config.box != "auto":
        profile, why = profiles()[config.box], "selab.yaml names it"
        if profile.is_built:
            return _built(profile, project, provider, progress, why)
        return _downloaded(profile, provider, why)
    profile = profiles()[preferred()]
    if in_store(_store_name(profile.name), provider):
        return _downloaded(profile, provider, "it is in Vagrant's store")
    problem = _unreachable(profile.urls[provider])
    if not problem:
        return _downloaded(profile, provider, "its download site answers")
    if provider != "libvirt":
        raise SelabError(
            "There is no box for VirtualBox without a network.",
            f"{profile.urls[provider]}: {problem}",
            "Give a box as `vm.source`.",
        )
    why = f"there is no {profile.name} box here, and its site cannot be reached: {problem}"
    return _built(profiles()[fallback()], project, provider, progress, why)


def in_store(name: str, provider: str) -> bool:
    """Return whether Vagrant's store has the box. Its directory shows that; Vagrant would take a second."""
    home = Path(os.environ.get("VAGRANT_HOME", "~/.vagrant.d")).expanduser()
    return any(home.glob(f"boxes/{name}/*/**/{provider}/metadata.json"))


def _store_name(profile: str) -> str:
    return f"selab-{profile}"


def _own(source: BoxSource, box: str) -> Choice:
    profile = box if box != "auto" else preferred()
    cpu = profiles()[profile].cpu
    if source.file:
        path = Path(source.file).expanduser().resolve()
        if not path.is_file():
            raise InputError(
                "The box file of selab.yaml does not exist.", str(path), "Correct `file:` below `vm.source`."
            )
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


def _built(profile: Profile, project: Project, provider: str, progress: Progress, why: str) -> Choice:
    if provider != "libvirt":
        raise SelabError(
            f"The box {profile.name} needs libvirt.",
            "It has no boot loader; libvirt boots its kernel directly.",
            f"Use {preferred()}.",
        )
    from selab.vm import box as builder

    box = builder.find_box(profile.name, project.images)
    box = box or builder.build_box(profile.name, project.images, progress)
    return Choice(
        profile.name,
        box.name,
        Path(box.file).as_uri(),
        kernel=str(box.kernel),
        initrd=str(box.initrd),
        cmdline=box.cmdline,
        cpu=profile.cpu,
        agent=profile.agent,
        why=why,
    )


def _downloaded(profile: Profile, provider: str, why: str) -> Choice:
    name = _store_name(profile.name)
    if provider not in profile.urls and provider not in profile.newest:
        raise InputError(
            f"There is no {profile.name} box for {provider}.",
            hint="Give a box as `vm.source`, or use another box.",
        )
    url, sha256 = profile.urls.get(provider, ""), ""
    if not in_store(name, provider):
        url = url or _newest_url(profile.newest[provider])
        sha256 = _fetch_sum(url, profile.sums)
        why = f"{why}; {UNSIGNED}"
    return Choice(profile.name, name, url, sha256, cpu=profile.cpu, agent=profile.agent, why=why)


def _newest_url(newest: Newest) -> str:
    """Return the URL of the box with the latest date (`20250113.0`) that the index lists."""
    pattern = re.escape(newest.name).replace(r"\*", r"(\d{8})\.(\d+)")
    text = _fetched(newest.index, 1 << 22, "The list of the boxes cannot be fetched.")
    dates = [(match[1], int(match[2])) for match in re.finditer(rf"{pattern}(?![\w.])", text)]
    if not dates:
        raise SelabError(
            "The site of the box does not list it.", f"{newest.index} has no {newest.name}.", OWN_BOX
        )
    day, number = max(dates)
    return newest.index + newest.name.replace("*", f"{day}.{number}")


def _unreachable(url: str) -> str:
    """Return why `url` cannot be fetched, or "" if it can."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HEAD_LIMIT):
            return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__)


def _fetch_sum(url: str, suffix: str) -> str:
    text = _fetched(url + suffix, 1 << 16, "The checksum of the box cannot be fetched.")
    match = re.search(r"\b[0-9a-f]{64}\b", text)
    if match is None:
        raise SelabError("The checksum file of the box contains no sha256.", url + suffix, OWN_BOX)
    return match[0]


def _fetched(url: str, most: int, what: str) -> str:
    """Return the first `most` bytes of the text at `url`. Raises SelabError with `what` if that fails."""
    try:
        with urllib.request.urlopen(url, timeout=SUMS_LIMIT) as answer:
            return str(answer.read(most).decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise SelabError(what, f"{url}: {error}", OWN_BOX) from error
