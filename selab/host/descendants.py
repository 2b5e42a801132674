"""Find and end every process that a policy tool has started, also one that has left the tool's process group.

Linux only. On another system, `adopted` does nothing, and only the process group is ended.

selab becomes a "child subreaper" (prctl(2)) while a tool runs: if a process ends, its children become selab's
own, whatever session they are in. So each process of the tool is found as a child of selab, or below one. A
variable in their environment tells them from the other children of selab.

This is only for tools that read foreign files. Programs such as Vagrant and virsh start daemons (QEMU,
libvirtd) that must remain.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "SELAB_COMMAND"
"""The environment variable that marks the processes of a tool. Its value differs for each run of a tool."""
END_LIMIT = 5.0
"""Seconds for killed processes to end."""
SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""
EXECVE_LIMIT = 0.05
"""Seconds for a process to show its environment. One without any environment is not a tool's."""
PAUSE = 0.002
"""Seconds between two looks at processes that are about to end."""
_SUPPORTED = sys.platform == "linux"
_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def adopted() -> Iterator[None]:
    """Let orphans become children of this process during the block. Several threads may do so at once."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _set_subreaper(True)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set_subreaper(False)


def marked(environment: Mapping[str, str] | None, mark: str) -> dict[str, str]:
    """Return `environment`, by default this process's own, with the variable that marks a tool."""
    return {**(os.environ if environment is None else environment), VARIABLE: mark}


def end_adopted(group: int, mark: str) -> None:
    """End all processes with `mark` that this process has adopted, and what they have started.

    `group` is the process group of the tool, which has ended. A process passes its children on before it can
    be reaped, so no process is left when a pass over the children finds none.
    """
    deadline, killed = time.monotonic() + END_LIMIT, set[int]()
    while time.monotonic() < deadline:
        for pid in _adopted(mark):
            killed.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended = [pid for pid in children(os.getpid()) if pid in killed or _is_ended_member(pid, group)]
        if not ended:
            return
        if not any([_reap(pid) for pid in ended]):
            time.sleep(PAUSE)


def memory_of(root: int, mark: str) -> int:
    """Return the bytes of private memory of the process `root`, those with `mark`, and all below them."""
    pending, seen, total = [root, *_adopted(mark)], set(), 0
    while pending:
        pid = pending.pop()
        if pid in seen:
            continue
        seen.add(pid)
        total += _private_memory(pid)
        pending += children(pid)
    return total


def children(pid: int) -> list[int]:
    """Return the children of the process `pid`, or none if it has ended or the system cannot list them."""
    ids: list[int] = []
    with contextlib.suppress(OSError):  # it ends at the same time
        for task in Path(f"/proc/{pid}/task").iterdir():
            ids += map(int, (task / "children").read_bytes().split())
    return ids


def _adopted(mark: str) -> list[int]:
    """Return the children of this process with `mark` in their environment."""
    entry = f"{VARIABLE}={mark}".encode()
    return [pid for pid in children(os.getpid()) if entry in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    """Return the variables of the process `pid`, or none if it has ended.

    While a process runs execve(2), the kernel shows no environment: then this waits.
    """
    deadline = time.monotonic() + EXECVE_LIMIT
    while True:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return []
        if environment or _has_ended(pid) or time.monotonic() > deadline:
            return environment.split(b"\0")
        time.sleep(PAUSE)


def _has_ended(pid: int) -> bool:
    """Return whether the process has ended. It may not be reaped yet."""
    return _status(pid)[:1] in ([], [b"Z"])


def _is_ended_member(pid: int, group: int) -> bool:
    """Return whether the process has ended, is not reaped, and was in `group`."""
    status = _status(pid)
    return status[:1] == [b"Z"] and status[2:3] == [str(group).encode()]


def _status(pid: int) -> list[bytes]:
    """Return the state, the parent, the process group and so on (proc_pid_stat(5)), or nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def _reap(pid: int) -> bool:
    """Reap the child `pid` if it has ended. Return whether it has."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _private_memory(pid: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (OSError, ValueError):
        return 0
    return max(0, int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _set_subreaper(on: bool) -> None:
    if _SUPPORTED:
        import ctypes  # imported here because only a command that runs a tool needs it

        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
