"""What a project would run or reach outside of itself, and whether the user allowed it.

A Vagrantfile and the Vagrantfile in a box are Ruby programs, which Vagrant runs with the user's rights. The
directory `.vagrant` names the VM that Vagrant acts on, and plugins that it loads (Vagrant's
lib/vagrant/plugin/manager.rb, localize!). With `box: host`, selab logs in to a machine with the user's own
keys.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selab.errors import AnswerTooLong, SelabError
from selab.host import trusted
from selab.host.binding import is_bound, mark
from selab.host.private import read_private
from selab.project import Project
from selab.vm import vagrantfile

RECORD = ".vagrant"
"""The directory in which Vagrant keeps its record of the VM."""
PLUGINS = "plugins.json"
"""The file in it with the plugins of the project."""
MAX_LIST = 1 << 20
"""Bytes that the file may have: Vagrant writes some hundred for each plugin."""


@dataclass(frozen=True)
class Foreign:
    """Something in a project that selab uses only after the user allowed it.

    name: what it is, and which.
    effect: what selab would do with it.
    advice: what to look at first.
    digest: digest by which selab remembers the answer.
    """

    name: str
    effect: str
    advice: str
    digest: str


class NotAllowed(SelabError):
    """The user has not allowed something that a command needs."""


def foreign(project: Project) -> list[Foreign]:
    """Return what the project's machine needs and the user has not allowed yet."""
    host = project.config.vm.host
    needed = [_host(project)] if host else [*_vagrantfile(project), *_box(project), *_record(project)]
    allowed = trusted.digests()
    return [each for each in needed if each.digest not in allowed]


def require(project: Project) -> None:
    """Raise NotAllowed if the user has not allowed everything that the project's machine needs."""
    for each in foreign(project):
        raise NotAllowed(
            f"You have not allowed {each.name}.",
            each.effect,
            f"{each.advice} If you trust it, run `selab trust`, or `selab --trust-vagrantfile COMMAND`.",
        )


def allow(each: Foreign) -> None:
    """Remember that the user allowed it."""
    trusted.allow(each.digest, each.name)


def _vagrantfile(project: Project) -> list[Foreign]:
    """Return the Vagrantfile, unless it is selab's own or does not exist yet."""
    path = project.vagrant_dir / "Vagrantfile"
    if not path.exists():
        return []
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if content == vagrantfile.shipped() or vagrantfile.is_older(content):
        return []
    return [
        Foreign(
            f"the Vagrantfile {path} (sha256 {digest[:16]})",
            "It is not selab's own. Vagrant runs it as a program, with your rights.",
            "Read it first, and the files that it loads, which your answer does not cover.",
            _digest("Vagrantfile", digest),
        )
    ]


def _box(project: Project) -> list[Foreign]:
    source = project.config.vm.source
    if source is None or not (source.url or source.file):
        return []
    unpinned = "" if source.sha256 or source.file else " It has no sha256, so its content may change."
    return [
        Foreign(
            f"the box {source.file or source.url}",
            f"selab.yaml names it as `vm.source`. Vagrant runs the Vagrantfile in it as a program.{unpinned}",
            "Find out who made it.",
            _digest("box", source.url, source.sha256, *_identity(source.file)),
        )
    ]


def _record(project: Project) -> list[Foreign]:
    """Return Vagrant's record of the VM, unless selab made it here, or it is empty or absent.

    In a record that selab made, return the plugins: `git pull` can put files there.
    """
    path = project.vagrant_dir / RECORD
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
        raise SelabError(f"{RECORD} is not a directory.", str(path), "Remove it: Vagrant creates a new one.")
    for link in _links(path):
        raise SelabError(
            f"{RECORD} contains a link.", str(link), "Remove it: Vagrant would write through it."
        )
    if is_bound(path):
        return _plugins(path / PLUGINS)
    return [
        Foreign(
            f"the directory {path}",
            "selab did not make it. Vagrant acts on the VM that it names, and runs the plugins in it.",
            "If it came with a repository, remove it.",
            _digest("record", mark(path)),
        )
    ]


def _links(record: Path) -> Iterator[Path]:
    """Yield the links in Vagrant's record of the VM, but not those in the code of plugins."""
    for directory, directories, files in os.walk(record):
        for path in (Path(directory, name) for name in (*directories, *files)):
            if path.is_symlink():
                yield path
        directories[:] = [name for name in directories if Path(directory, name) != record / "plugins"]


def _plugins(path: Path) -> list[Foreign]:
    """Return the list of plugins in the file `path`, if it exists.

    Raises AnswerTooLong if it has more than MAX_LIST bytes, because the answer must cover all of it.
    """
    if not path.exists():
        return []
    content = read_private(path, MAX_LIST + 1)
    if len(content) > MAX_LIST:
        raise AnswerTooLong(f"The list of plugins {path}", MAX_LIST)
    return [
        Foreign(
            f"the plugins that {path} lists",
            "Vagrant loads them as programs, with your rights.",
            "If the file came with a repository, remove it.",
            _digest("plugins", mark(path.parent), hashlib.sha256(content).hexdigest()),
        )
    ]


def _identity(name: str) -> tuple[str, ...]:
    """Return what changes with a box file. Its content is not read, since it takes seconds."""
    path = Path(name).expanduser().resolve()
    if not path.is_file():  # for a box with a URL, `path` is the working directory
        return (name,)
    status = path.stat()
    return (str(path), str(status.st_ino), str(status.st_size), str(status.st_ctime_ns))


def _host(project: Project) -> Foreign:
    config = project.config.vm.host
    assert config is not None
    user = f"{config.user}@" if config.user else ""
    return Foreign(
        f"the host {user}{config.address}",
        "selab.yaml names it as `vm.host`. selab logs in with your SSH keys and loads policies there.",
        "Use no machine that you depend on.",
        _digest("host", *(str(value) for value in config.model_dump().values())),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
