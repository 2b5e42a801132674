"""The errors that selab raises deliberately, and the exit code of the program for each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_ERROR = 3
EXIT_INTERRUPTED = 130


class SelabError(Exception):
    """A failure that three lines explain to the user.

    what: what happened, as a sentence.
    detail: one line with a command, an exit code or a path; may be empty.
    hint: what to do next; may be empty.
    """

    exit_code = EXIT_ERROR

    def __init__(self, what: str, detail: str = "", hint: str = "") -> None:
        super().__init__(what, detail, hint)
        self.what = what
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.detail, self.hint) if line)


class InputError(SelabError):
    """A file or an option of the user cannot be used. Nothing was changed."""

    exit_code = EXIT_USAGE


class Unreachable(SelabError):
    """The connection to the guest failed, which says nothing about the command."""


class AnswerTooLong(SelabError):
    """A program, a guest or a file gave more bytes than selab accepts from it."""

    def __init__(self, source: str, limit: int) -> None:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
        super().__init__(
            "An answer is too long.",
            f"{source} has more than {size}.",
            "docs/reference/limits.md lists the limits. Let a command of yours print less.",
        )
        self.source, self.limit = source, limit

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.source, self.limit))


class CommandFailed(SelabError):
    """A command ran, and its caller does not accept its exit code."""

    def __init__(self, what: str, argv: Sequence[str], returncode: int, output: str, hint: str = "") -> None:
        last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")
        super().__init__(
            what, f"`{' '.join(shlex.join(argv).split())[:160]}` ended with {returncode}: {last}", hint
        )
        self.argv = tuple(argv)
        self.returncode = returncode
        self.output = output

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.what, self.argv, self.returncode, self.output, self.hint))
