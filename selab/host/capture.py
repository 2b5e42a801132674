"""What a program prints, up to a limit. The rest is read and dropped, so that the program does not block."""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import subprocess
import time

CHUNK = 256 * 1024
"""Bytes to read or write at a time."""


class Capture:
    """The beginning of an output.

    truncated: whether the output was longer than the limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = io.BytesIO()
        self.truncated = False

    @property
    def data(self) -> bytes:
        return self._data.getvalue()

    def add(self, chunk: bytes) -> None:
        """Add what was read, up to the limit."""
        room = self._limit - self._data.tell()
        self.truncated |= len(chunk) > room
        self._data.write(chunk[:room])


def converse(
    process: subprocess.Popen[bytes], input: bytes, timeout: float, limit: int
) -> tuple[Capture, Capture]:
    """Send `input` to `process`, read both of its outputs to their ends, and wait for it.

    Each output is kept up to `limit` bytes. Raises subprocess.TimeoutExpired after `timeout` seconds.
    """
    assert process.stdin and process.stdout and process.stderr
    deadline = time.monotonic() + timeout
    captures = {process.stdout.fileno(): Capture(limit), process.stderr.fileno(): Capture(limit)}
    rest = memoryview(input)
    with selectors.DefaultSelector() as selector:
        for stream in captures:
            selector.register(stream, selectors.EVENT_READ)
        if rest:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while selector.get_map():
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                if key.fd in captures:
                    chunk = os.read(key.fd, CHUNK)
                    captures[key.fd].add(chunk)
                    is_done = not chunk
                else:
                    rest = _send(key.fd, rest)
                    is_done = not rest
                if is_done:
                    selector.unregister(key.fd)
                    if key.fd not in captures:
                        process.stdin.close()
            if time.monotonic() >= deadline and selector.get_map():
                raise subprocess.TimeoutExpired(process.args, timeout)
    process.wait(max(0.0, deadline - time.monotonic()))
    output, errors = captures.values()
    return output, errors


def _send(stream: int, data: memoryview) -> memoryview:
    """Write some of `data`, and return the rest: nothing if the program no longer reads."""
    with contextlib.suppress(BlockingIOError):
        try:
            return data[os.write(stream, data[:CHUNK]) :]
        except BrokenPipeError:
            return data[:0]
    return data
