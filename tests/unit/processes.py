"""Whether a process that a test started has ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process runs: one that ended, and for which nothing has waited yet, does not (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_gone(pid: int, limit: float = 10.0) -> bool:
    """Whether the process ends within `limit` seconds."""
    deadline = time.monotonic() + limit
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def assert_ended(file: Path) -> None:
    """Fail if the process whose number is in `file` does not end, and end it."""
    pid = int(file.read_text())
    ended = is_gone(pid, limit=5.0)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    assert ended
