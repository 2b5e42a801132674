"""The one seam to a machine: run a command, put bytes, get bytes. A VM, a host over SSH and the fake of the unit tests are Guests."""

from __future__ import annotations

import functools
import importlib.resources
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Generic, Protocol, TypeVar

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

    def close(self) -> None:
        """Give back whatever the connection holds. Nothing can be asked after that."""


_INCLUDE = re.compile(r"\. \./(lib-[a-z-]+\.sh)")


@functools.cache
def script(name: str) -> str:
    """The text of a script that runs in the guest: "policy/guest/load" is selab/policy/guest/scripts/load.sh.

    Comments and empty lines are left out, since the text becomes an argument of `sh -c`. A line
    `. ./lib-NAME.sh` is replaced by that file of the same directory, since the guest has none of these files.
    """
    package, _, base = name.rpartition("/")
    directory = importlib.resources.files("selab").joinpath(package, "scripts")
    return "\n".join(_lines(directory, f"{base}.sh"))


def _lines(directory: Traversable, file: str) -> Iterator[str]:
    for line in directory.joinpath(file).read_text(encoding="utf-8").splitlines():
        if included := _INCLUDE.fullmatch(line):
            yield from _lines(directory, included[1])
        elif line.strip() and not line.lstrip().startswith("#"):
            yield line


def script_argv(name: str, *arguments: str) -> list[str]:
    """The command that runs the script `name` with `arguments`, which no shell parses."""
    return shell_argv(script(name), *arguments)


def shell_argv(text: str, *arguments: str) -> list[str]:
    """The command that runs the shell script `text` with `arguments`, which no shell parses."""
    return ["sh", "-c", text, "sh", *arguments]


T = TypeVar("T")


@dataclass(frozen=True)
class Query(Generic[T]):
    """A question to a guest: a shell script, its arguments, which no shell parses, and `read`, which makes a value of the answer.

    `read` raises SelabError where the answer says that it failed. At most one of several that are asked together has `input`.
    """

    script: str
    read: Callable[[Completed], T]
    arguments: tuple[str, ...] = ()
    input: bytes = b""
    timeout: float = RUN_TIMEOUT

    def of(self, guest: Guest) -> T:
        return self.read(
            guest.run(shell_argv(self.script, *self.arguments), input=self.input, timeout=self.timeout)
        )


def query_all(guest: Guest, *asks: Query[Any]) -> Iterator[Any]:
    """The answers to `asks`, in order, in one round trip. None runs after one that has failed, which is then the last that answers."""
    token = secrets.token_hex(12)
    parts, words = [], [token]
    for ask in asks:
        places = " ".join(
            f'"${{{number}}}"' for number in range(len(words) + 1, len(words) + 1 + len(ask.arguments))
        )
        source = "" if ask.input else " </dev/null"
        parts.append(f"part() {{\n{ask.script}\n}}\n( part {places} ){source}; said=$?")
        parts.append('printf "%s %s\\n" "$1" "$said"; printf "%s\\n" "$1" >&2; [ "$said" -eq 0 ] || exit 0')
        words += ask.arguments
    argv = shell_argv("\n".join(parts), *words)
    whole = guest.run(
        argv, input=b"".join(ask.input for ask in asks), timeout=sum(ask.timeout for ask in asks)
    )
    for ask, done in zip(asks, _parts(whole, token.encode(), len(asks)), strict=False):
        yield ask.read(done)


def _parts(whole: Completed, token: bytes, count: int) -> list[Completed]:
    """What each script said, up to the one that failed. One that the whole ended in gets the whole's exit code."""
    # A guest that audits what is executed has the token in its log, but in quotes.
    output, *rests = re.split(re.escape(token) + rb" (\d+)\n", whole.stdout)
    errors = whole.stderr.split(token + b"\n")
    parts: list[Completed] = []
    for status, following, error in zip(rests[::2], rests[1::2], errors, strict=False):
        parts.append(Completed(whole.argv, int(status), output, error))
        output = following
    if len(parts) < count and all(part.ok for part in parts):
        parts.append(Completed(whole.argv, whole.returncode or 1, output, errors[-1]))
    return parts
