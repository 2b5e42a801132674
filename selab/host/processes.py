"""Run a program of this machine in its own process group, with limits, so that nothing of it remains."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from selab.errors import AnswerTooLong, SelabError
from selab.guest import MAX_ANSWER
from selab.host import descendants
from selab.host.capture import converse

# `exec "$@"` keeps the process id. A system that does not know a limit runs the program without it.
LAUNCH = 'ulimit -v "$1" 2>/dev/null || :; ulimit -t "$2" 2>/dev/null || :; ulimit -c 0; shift 2; exec "$@"'
KIB, MIB = 1024, 1 << 20
MEASURE_EVERY = 0.2
"""Seconds between two measurements of a tool's memory. Most tools end before the first."""


@dataclass(frozen=True)
class Limits:
    """What a tool that reads foreign files may use.

    memory: bytes of address space for each process, and of private memory for all of them together.
    """

    memory: int


TOOL_LIMITS = Limits(4 << 30)
"""Limits for programs that read foreign files: m4, make, secilc, git. Linking a policy takes 300 MB."""


@dataclass(frozen=True)
class Ended:
    """A program that ended.

    returncode: its exit code.
    stdout: its standard output.
    stderr: its standard error.
    truncated: whether one of them was longer than the limit, so that only its beginning is here.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    truncated: bool


def run_group(
    command: Sequence[str],
    *,
    timeout: float,
    input: bytes = b"",
    limits: Limits | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    limit: int | None = None,
) -> Ended:
    """Run `command` and return its exit code and output.

    Each output is kept up to `limit` bytes. Without a limit, an output of more than MAX_ANSWER bytes raises
    AnswerTooLong.

    Every process that the command leaves in its group is ended: after it exits, after `timeout` seconds, and
    if the user interrupts. Raises subprocess.TimeoutExpired and FileNotFoundError as subprocess.run does.

    With `limits`, each process also gets at most `timeout` seconds of processor time. On Linux, the processes
    that left the group are ended too, and SelabError is raised if all together use too much memory. Do not
    set limits for a program that starts a daemon, such as Vagrant or virsh: the daemon must remain.
    """
    with contextlib.ExitStack() as stack:
        mark = secrets.token_hex(8)
        if limits:
            argv = _limited(command, limits, timeout, environment)
            environment = descendants.marked(environment, mark)
            stack.enter_context(descendants.adopted())
        with interrupt_deferred():
            process = stack.enter_context(
                subprocess.Popen(
                    argv if limits else list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    cwd=directory,
                    start_new_session=True,
                    bufsize=0,
                )
            )
            stack.callback(_end, process, mark if limits else "")
        if limits:
            stack.enter_context(_memory_limited(process, command[0], limits.memory, mark))
        output, errors = converse(process, input, timeout, MAX_ANSWER if limit is None else limit)
    truncated = output.truncated or errors.truncated
    if truncated and limit is None:
        raise AnswerTooLong(f"The output of `{command[0]}`", MAX_ANSWER)
    return Ended(process.returncode, output.data, errors.data, truncated)


@contextlib.contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Let Ctrl-C during the block take effect after it, so that selab ends every program that it starts.

    Only the main thread receives Ctrl-C. A handler that Python did not set, or that ignores it, stays.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received:
        handler(*received[0])


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    end_group(process)
    if mark:
        descendants.end_adopted(process.pid, mark)


@contextlib.contextmanager
def _memory_limited(process: subprocess.Popen[bytes], program: str, limit: int, mark: str) -> Iterator[None]:
    """End the group of `process` during the block if its processes together use more than `limit` bytes.

    Raises SelabError after the block if that happened.
    """
    stop, exceeded = threading.Event(), threading.Event()

    def measure() -> None:
        while not stop.wait(MEASURE_EVERY):
            if descendants.memory_of(process.pid, mark) > limit:
                exceeded.set()
                _end(process, mark)
                return

    thread = threading.Thread(target=measure, daemon=True, name="memory")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if exceeded.is_set():
            raise SelabError(
                f"`{program}` used too much memory.",
                f"All its processes together may use {limit // MIB} MiB. selab ended them.",
                "Look for a loop or a very large expansion in the policy.",
            )


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
