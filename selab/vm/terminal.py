"""A program in a terminal of its own, with a time limit, and with an end that lets it clean up."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence

import pexpect

INTERRUPT_LIMIT = 20.0
"""Seconds for a program to clean up and release its locks after a signal, before it gets the next one."""
POLL = 0.1

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x08|[\x00-\x08\x0b-\x1f]")


class Terminal(pexpect.spawn):  # type: ignore[type-arg]
    """A running program, which is interrupted if the block of its `with` statement fails, also by Ctrl-C."""

    def __init__(self, command: Sequence[str], directory: str, environment: Mapping[str, str]) -> None:
        super().__init__(
            command[0],
            list(command[1:]),
            cwd=directory,
            env=dict(environment),
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(50, 400),
        )

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if kind is not None:
                self.interrupt()
        finally:
            self.close()

    def isalive(self) -> bool:
        """Whether the program runs. After the end of its output, pexpect would wait for its exit forever."""
        self.flag_eof = False
        return bool(super().isalive())

    def lines(self, limit: float) -> Iterator[str]:
        """What the program prints until it ends, without control characters. A CR ends a line too.

        Raises TimeoutError(unfinished line) if the program does not end within `limit` seconds.
        """
        deadline = time.monotonic() + limit
        ended = False
        while not ended:
            left = deadline - time.monotonic()
            event = self.expect(["[\r\n]+", pexpect.EOF, pexpect.TIMEOUT], timeout=max(0.0, left))
            ended = event == 1
            line = _CONTROL.sub("", self.before or "").rstrip()
            if event == 2 or (left <= 0 and not ended):
                raise TimeoutError(line)
            if line:
                yield line
        while self.isalive():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(POLL)

    def ending(self) -> str:
        """How the program ended, for a message; empty if it ended with exit code 0."""
        if self.exitstatus is None:
            return f"ended by signal {self.signalstatus}"
        return f"exit code {self.exitstatus}" if self.exitstatus else ""

    def interrupt(self) -> None:
        """End the program. Vagrant cleans up at the first SIGINT, and ends at once at the second one.

        If the user presses Ctrl-C again meanwhile, the next signal is sent without waiting.
        """
        again = False
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if not self._is_left():
                break
            try:
                self._signal(number)
                self._await_end()
            except KeyboardInterrupt:
                again = True
        if again:
            raise KeyboardInterrupt

    def _await_end(self) -> None:
        deadline = time.monotonic() + INTERRUPT_LIMIT
        while self._is_left() and time.monotonic() < deadline:
            try:
                # The program cannot end while the terminal's buffer is full. A silent program may still end.
                with contextlib.suppress(pexpect.TIMEOUT):
                    self.read_nonblocking(65536, timeout=POLL)
            except pexpect.EOF:
                time.sleep(POLL)

    def _is_left(self) -> bool:
        """Whether the program, or a process that it started in its group, still runs."""
        return self.isalive() or self._signal(0)

    def _signal(self, number: int) -> bool:
        """Send a signal to the process group, as a terminal does for Ctrl-C. Returns whether one exists.

        HashiCorp's `vagrant` is a launcher that ignores SIGINT, and waits for the Ruby process it started.
        """
        if self.pid is None:
            return False
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
