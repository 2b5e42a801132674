"""The one seam to a machine: run a command, put bytes, get bytes. A VM, a host over SSH and the fake of the unit tests are Guests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from selab.errors import CommandFailed

RUN_TIMEOUT = 120.0
"""Seconds a command in the guest may take unless its caller says otherwise: an emulated guest needs ten times a real one's time."""


@dataclass(frozen=True)
class Completed:
    """A command that ran to its end in the guest; `stdout` and `stderr` are bytes, since nobody promised an encoding."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 show as backslash escapes."""
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "backslashreplace")

    def expect(self, what: str, *codes: int, hint: str = "") -> Completed:
        """Return self where the exit code is one of `codes` (0 if none are given), else raise CommandFailed with the sentence `what`."""
        if self.returncode not in (codes or (0,)):
            raise CommandFailed(what, self.argv, self.returncode, self.error_text or self.text, hint)
        return self


class Guest(Protocol):
    """A machine with SELinux and Docker. Every command runs as root."""

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        """Run `argv` as root, without a shell splitting it.

        Raises Unreachable when the transport breaks or the command outlives `timeout` seconds (it is then ended in the guest too).
        A non-zero exit code is not an error here: the caller decides with `Completed.expect`.
        """

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        """Write `data` to the absolute `path`, whole or not at all; parent directories are made."""

    def get(self, path: str) -> bytes:
        """The bytes of the file at the absolute `path`. Raises CommandFailed where it cannot be read."""
