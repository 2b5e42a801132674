"""Choose the loopback port that is forwarded to a VM's SSH server."""

from __future__ import annotations

import contextlib
import socket
import time

from selab.host.cache import alone, cache_dir
from selab.host.files import read_json, write_json

FIRST_PORT = 2222
"""The port that Vagrant tries first. selab takes it, or one of the ports after it."""
PORTS = 200
KEPT = 1800.0
"""Seconds that a port stays reserved for its VM, which listens only after Vagrant has copied the disk and
started QEMU."""
LOCK_LIMIT = 30.0
"""Seconds to wait for another selab process that chooses a port. It tries a few hundred ports at most."""


def free_port(owner: str, preferred: int = 0) -> int:
    """Reserve a port for `owner` on which no process listens and which is not reserved for another VM of this
    user.

    `preferred` is taken if it meets these conditions.
    """
    book = cache_dir() / "ports.json"
    with alone(cache_dir() / "locks" / "ports", LOCK_LIMIT, "looking for a port"):
        known = {port: entry for port, entry in read_json(book).items() if _holds(entry)}
        others = {int(port) for port, (whose, _) in known.items() if whose != owner}
        candidates = (*((preferred,) if preferred else ()), *range(FIRST_PORT, FIRST_PORT + PORTS), 0)
        free = next(
            port for candidate in candidates if candidate not in others and (port := _bound(candidate))
        )
        write_json(book, {**known, str(free): [owner, time.time()]})
    return free


def _holds(entry: object) -> bool:
    """Return whether `entry` is a valid reservation that has not expired."""
    match entry:
        case [str(), float() | int() as since]:
            return 0 <= time.time() - since < KEPT
    return False


def _bound(port: int) -> int:
    """Bind `port`, or any free port if it is 0. Return the port, or 0 if another process listens on it."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
    return 0
