"""Prove that nothing changed in directories: by their content, and by the kernel's events (inotify)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles


@dataclass
class Watch:
    """What happened while the watch lasted.

    events: changed paths that the kernel reported, as "added PATH", "modified PATH" or "deleted PATH".
    differences: paths whose type, mode, owner, time or content is not what it was.
    """

    events: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@contextmanager
def watching(directories: Sequence[Path], allowed: Sequence[Path], beacon: Path) -> Iterator[Watch]:
    """Watch the `directories` without what is below `allowed`.

    Files in the directory `beacon`, which is watched too, prove at both ends that the kernel reports events.
    """
    result = Watch()
    stop, seen = threading.Event(), {"first": threading.Event(), "last": threading.Event()}

    def watch() -> None:
        for changes in watchfiles.watch(
            *directories, beacon, watch_filter=None, stop_event=stop, debounce=20, step=10, rust_timeout=50
        ):
            for change, name in changes:
                path = Path(name)
                if path.is_relative_to(beacon):
                    for mark in seen:
                        if path.name.startswith(mark):
                            seen[mark].set()
                elif not any(path.is_relative_to(each) for each in allowed):
                    result.events.append(f"{change.raw_str()} {path}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        _report(beacon, "first", seen["first"])
        before = _state(directories, allowed)
        yield result
        after = _state(directories, allowed)
        result.differences += sorted(
            str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        )
        _report(beacon, "last", seen["last"])
    finally:
        stop.set()
        thread.join()


def _report(beacon: Path, mark: str, seen: threading.Event) -> None:
    """Write files that the watch must report, until it has reported one of them."""
    for number in range(500):
        (beacon / f"{mark}-{number}").touch()
        if seen.wait(0.02):
            return
    raise AssertionError("the kernel reports no changes of files")


def _state(directories: Sequence[Path], allowed: Sequence[Path]) -> dict[Path, tuple[object, ...]]:
    """Return the state of each file below the directories, without following a link."""
    return {
        path: _facts(path)
        for directory in directories
        for path in (directory, *directory.rglob("*"))
        if not any(path.is_relative_to(each) or each.is_relative_to(path) for each in allowed)
    }


def _facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = (
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
    )
    target = path.readlink() if path.is_symlink() else ""
    return (status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns, content, target)
