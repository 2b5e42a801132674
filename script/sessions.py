"""Ends what a session of processes leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def end_session(session: int) -> None:
    """End every process of a session: `timeout` starts a program in a process group of its own."""
    while members := processes_of(session):
        for process in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def processes_of(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            # proc_pid_stat(5): behind the name, in parentheses, follow the state and, third, the session.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(stat.parent.name))
    return members
