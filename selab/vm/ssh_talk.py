"""One command's conversation on a channel: bytes in both directions at once, and a probe for a hung guest.

Fabric's own `run` is not used for this: it decodes the output, its cost grows with the square of the output's
size, and its time limit leaves the command running in the guest.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import paramiko

from selab.errors import Unreachable
from selab.host.capture import CHUNK, Capture

SILENT = 10.0
"""Seconds without output of a command after which the guest is probed: it may no longer start commands."""


class Talk:
    """One command's conversation on its channel, until `deadline`.

    `probe` raises TimeoutError if the guest hangs.
    """

    def __init__(self, channel: paramiko.Channel, deadline: float, probe: Callable[[], None]) -> None:
        self._channel, self._deadline, self._probe = channel, deadline, probe

    def converse(
        self, line: bytes, data: bytes, argv: Sequence[str], limit: int
    ) -> tuple[Capture, Capture, int]:
        """Run `line`, send it `data`, and return both outputs, up to `limit` bytes each, and the exit code.

        Both outputs are read at the same time, because an unread one blocks the command.
        """
        channel = self._channel
        try:
            channel.settimeout(self._left())
            channel.exec_command(line)  # bytes: an argument may be no UTF-8
            if not data:
                channel.shutdown_write()
            with ThreadPoolExecutor() as pool:  # one thread reads the errors, another one sends the input
                try:
                    errors = pool.submit(self._drain, channel.recv_stderr, lambda: None, limit)
                    if data:
                        pool.submit(self._feed, data)
                    output = self._drain(channel.recv, self._probe, limit)
                    while not channel.status_event.wait(min(SILENT, self._left())):
                        self._still_there(self._probe)
                    return output, errors.result(self._left()), channel.recv_exit_status()
                finally:
                    channel.close()
        except TimeoutError as error:
            raise Unreachable(
                "The guest stopped answering.", f"waiting for `{shlex.join(argv)[:160]}`"
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(
                "The connection to the guest broke.", f"during `{shlex.join(argv)[:160]}`: {error}"
            ) from error

    def _left(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _drain(self, receive: Callable[[int], bytes], probe: Callable[[], None], limit: int) -> Capture:
        """Read everything up to end-of-file, and return the first `limit` bytes of it.

        A command that never stops printing ends at the deadline, like one that prints nothing.
        """
        capture = Capture(limit)
        while True:
            self._channel.settimeout(min(SILENT, self._left()))
            try:
                chunk = receive(CHUNK)
            except TimeoutError:
                self._still_there(probe)
                continue
            if not chunk:
                return capture
            capture.add(chunk)
            if time.monotonic() >= self._deadline:
                raise TimeoutError

    def _feed(self, data: bytes) -> None:
        """Send all of `data`, then end-of-file. A command may end without reading everything: no error."""
        rest = memoryview(data)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while rest and time.monotonic() < self._deadline:
                with contextlib.suppress(TimeoutError):  # the reading thread decides how long that may take
                    rest = rest[self._channel.send(bytes(rest[:CHUNK])) :]
            self._channel.shutdown_write()

    def _still_there(self, probe: Callable[[], None]) -> None:
        """Raise TimeoutError if the deadline has passed or the guest hangs."""
        if time.monotonic() >= self._deadline:
            raise TimeoutError
        probe()
