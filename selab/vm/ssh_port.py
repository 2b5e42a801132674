"""The port of the loopback that a VM's SSH is forwarded from."""

from __future__ import annotations

import contextlib
import socket
import time

from selab.host.cache import alone, cache_dir
from selab.host.files import read_json, write_json

FIRST_PORT = 2222
"""Vagrant's own first choice; whatever follows it and is free does as well."""
PORTS = 200
KEPT = 1800.0
"""Seconds that a port is kept for the VM that got it: it listens there only when Vagrant has copied the box's disk and started QEMU."""
LOCK_LIMIT = 30.0
"""Seconds to wait for another selab that looks for a port: it tries some hundred at most."""


def free_port(owner: str, preferred: int = 0) -> int:
    """A port that nobody listens on, and that no other VM of this user was given just now: `preferred` if it is such a one. It is kept for
    `owner` from here on."""
    book = cache_dir() / "ports.json"
    with alone(cache_dir() / "locks" / "ports", LOCK_LIMIT, "looking for a port"):
        known = {port: entry for port, entry in read_json(book).items() if _holds(entry)}
        others = {int(port) for port, (whose, _) in known.items() if whose != owner}
        wanted = (*((preferred,) if preferred else ()), *range(FIRST_PORT, FIRST_PORT + PORTS), 0)
        found = next(port for candidate in wanted if candidate not in others and (port := _bound(candidate)))
        write_json(book, {**known, str(found): [owner, time.time()]})
    return found


def _holds(entry: object) -> bool:
    """Whether an entry of the book is one, and not too old."""
    match entry:
        case [str(), float() | int() as since]:
            return 0 <= time.time() - since < KEPT
    return False


def _bound(port: int) -> int:
    """The port, or any free one for 0; 0 where somebody listens there."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
    return 0
