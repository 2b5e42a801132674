"""Run a program of this machine in its own process group, with limits, so that nothing of it remains."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# `exec "$@"` keeps the process id. A system that does not know a limit runs the program without it.
LAUNCH = 'ulimit -v "$1" 2>/dev/null || :; ulimit -t "$2" 2>/dev/null || :; ulimit -c 0; shift 2; exec "$@"'
KIB = 1024


@dataclass(frozen=True)
class Limits:
    """What each process of a command may use.

    memory: bytes of address space.
    """

    memory: int


TOOL_LIMITS = Limits(4 << 30)
"""Limits for programs that read foreign files: m4, make, secilc, git. Linking a policy takes 300 MB."""


def run_group(
    command: Sequence[str],
    *,
    timeout: float,
    input: bytes = b"",
    limits: Limits | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` and return its exit code and output.

    With `limits`, each of its processes also gets at most `timeout` seconds of processor time.

    Every process that the command leaves in its group is ended: after it exits, after `timeout` seconds, and
    if the user interrupts. Raises subprocess.TimeoutExpired and FileNotFoundError as subprocess.run does.
    """
    process = subprocess.Popen(
        _limited(command, limits, timeout, environment) if limits else list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=directory,
        start_new_session=True,
    )
    with process:
        try:
            output, errors = process.communicate(input, timeout)
        finally:
            end_group(process)
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill every process of the group that `process` leads, and wait for `process`."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended, or macOS sees zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _limited(
    command: Sequence[str], limits: Limits, timeout: float, environment: Mapping[str, str] | None
) -> list[str]:
    """Return the command with a launcher before it that sets the limits, since preexec_fn is not safe with
    threads."""
    path = shutil.which(command[0], path=(environment or os.environ).get("PATH"))
    if path is None:
        raise FileNotFoundError(command[0])
    memory, processor = _at_most(limits.memory, math.ceil(timeout) + 1)
    words = [str(memory // KIB), str(processor)]
    return ["/bin/sh", "-c", LAUNCH, "sh", *words, *command]


def _at_most(memory: int, seconds: int) -> tuple[int, int]:
    """Return the limits, or this process's own ones if they are lower: no process may raise them."""
    import resource  # imported here because Windows does not have it, and this module is imported there

    def lower(kind: int, limit: int) -> int:
        _, own = resource.getrlimit(kind)
        return limit if own == resource.RLIM_INFINITY else min(limit, own)

    return lower(resource.RLIMIT_AS, memory), lower(resource.RLIMIT_CPU, seconds)
