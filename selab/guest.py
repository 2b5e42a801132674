"""The one seam to a machine: run a command, put bytes, get bytes.

A VM, a host over SSH and the fakes of the unit tests are Guests.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Generic, Protocol, TypeVar

from selab.errors import AnswerTooLong, CommandFailed, SelabError
from selab.progress import log

RUN_TIMEOUT = 120.0
"""Seconds that a command may take by default. An emulated guest is ten times slower than a real one."""

MAX_DIGITS = 20
"""Most digits of a number in an answer: an inode or a counter of 64 bits has 20."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of each output of a command, and of a file, by default. The largest usual one has some MiB."""
MAX_STATUS = 255
"""The highest exit code of a process."""
MAX_END = 64
"""Bytes that are enough for the end of an answer: a random token, an exit code and a newline."""
IN_THE_LOG = "The complete output is in .selab/selab.log."
"""The hint of an error whose detail shows only a part of an output, which `logged` writes to the log."""


@dataclass(frozen=True)
class Completed:
    """A command that ran to its end in the guest.

    argv: the command.
    returncode: its exit code.
    stdout: its standard output, as bytes, because the encoding is unknown.
    stderr: its standard error, as bytes as well.
    truncated: whether one of the outputs was longer than the limit, so that only its beginning is here.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Standard output as text. Bytes that are not UTF-8 become backslash escapes."""
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def error_text(self) -> str:
        """Standard error as text, in the same way."""
        return self.stderr.decode("utf-8", "backslashreplace")

    def expect(self, what: str, *codes: int, hint: str = "") -> Completed:
        """Return self if the exit code is one of `codes` (by default 0). Raises CommandFailed otherwise."""
        if self.returncode not in (codes or (0,)):
            if IN_THE_LOG in hint:
                self.logged()
            raise CommandFailed(what, self.argv, self.returncode, self.error_text or self.text, hint)
        return self

    def logged(self) -> str:
        """Write the complete output to the log, standard error first, and return the hint that says so."""
        for stream, text in (("standard error", self.error_text), ("standard output", self.text)):
            log.debug("%s of `%s`, which ended with %s:\n%s", stream, self.argv[0], self.returncode, text)
        return IN_THE_LOG


class Guest(Protocol):
    """A machine with SELinux and Docker. Every command runs as root."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        """Run `argv` as root. No shell splits it.

        Each output is kept up to `limit` bytes; the rest is dropped, and the result is `truncated`. Without a
        limit, an output of more than MAX_ANSWER bytes raises AnswerTooLong.

        Raises Unreachable if the transport breaks or the command outlives `timeout` seconds. In the second
        case, the command ends in the guest as well.
        A non-zero exit code is not an error here: the caller decides with `Completed.expect`.
        """

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        """Write `data` to the absolute `path`, completely or not at all. Creates the parent directories."""

    def get(self, path: str) -> bytes:
        """Return the bytes of the file at the absolute `path`. Raises CommandFailed if it cannot be read.

        Raises AnswerTooLong if the file has more than MAX_ANSWER bytes.
        """

    def close(self) -> None:
        """Release what the connection holds. No further command can run after that."""


_INCLUDE = re.compile(r"\. \./(lib-[a-z-]+\.sh)")


@functools.cache
def script(name: str) -> str:
    """Return a script that runs in the guest: "policy/guest/load" is selab/policy/guest/scripts/load.sh.

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
    """Return the command that runs the script `name` with `arguments`, which no shell parses."""
    return shell_argv(script(name), *arguments)


def shell_argv(text: str, *arguments: str) -> list[str]:
    """Return the command that runs the shell script `text` with `arguments`, which no shell parses."""
    return ["sh", "-c", text, "sh", *arguments]


T = TypeVar("T")


@dataclass(frozen=True)
class Query(Generic[T]):
    """A question to a guest.

    script: the shell script that finds the answer.
    read: makes a value of what the script printed. Raises SelabError if that says that the script failed,
        and Malformed if it makes no sense.
    arguments: the script's arguments, which no shell parses.
    input: the script's standard input. Only one of the queries that are sent together may have any.
    timeout: seconds that the script may take.
    limit: bytes that it may print. A longer answer is an error.
    """

    script: str
    read: Callable[[Completed], T]
    arguments: tuple[str, ...] = ()
    input: bytes = b""
    timeout: float = RUN_TIMEOUT
    limit: int = MAX_ANSWER

    def of(self, guest: Guest) -> T:
        """Run the script in `guest`, and read its answer.

        The answer has an end, as those of `query_all` have, so that an incomplete answer is an error.
        """
        value: T = query_all(guest, answer=self)["answer"]
        return value

    def value(self, done: Completed) -> T:
        """Read the answer `done`. Raises SelabError if it is not an answer to this query."""
        if done.truncated or max(len(done.stdout), len(done.stderr)) > self.limit:
            raise AnswerTooLong("The guest's answer", self.limit)
        with reading(done):
            return self.read(done)


class Malformed(ValueError):
    """An answer does not have the form that its reader expects. A guest may answer anything."""


def number(text: str) -> int:
    """Return the number that `text` is in decimal digits. Raises Malformed."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Malformed(f"{text[:20]!r} is not a number")
    return int(text)


def one_of(text: str, *words: str) -> str:
    """Return `text`, which must be one of `words`. Raises Malformed."""
    if text not in words:
        raise Malformed(f"{text[:20]!r} is not one of {', '.join(words)}")
    return text


def complete_line(text: str) -> str:
    """Return the only line of `text`, without its newline. Raises Malformed.

    A line without its end may be the beginning of another answer.
    """
    line, newline, rest = text.partition("\n")
    if not newline or rest:
        raise Malformed("it is not one complete line")
    return line


def contexts_in(values: Iterable[str]) -> set[str]:
    """Return the SELinux contexts among labels that scripts print, without others such as `kernel`.

    Raises Malformed if a value cannot be a label.
    """
    labels = set(values)
    for label in labels:
        if not label.isprintable() or label[:1] == "-":
            raise Malformed(f"{label[:40]!r} is not a context")
    return {label for label in labels if label.count(":") >= 2}


def whole_seconds(seconds: float) -> str:
    """Return a time limit as scripts take it: in whole seconds, and at least one."""
    return str(int(seconds) or 1)


@contextlib.contextmanager
def reading(done: Completed) -> Iterator[None]:
    """Turn Malformed, which the block raises on a senseless answer, into SelabError.

    No other exception is turned into it: that would be a fault in selab, and not of the guest.
    """
    try:
        yield
    except Malformed as error:
        raise SelabError(
            "The guest's answer makes no sense.",
            f"{str(error)[:100]}; it reported {done.stdout[:60]!r}",
            "Run `selab doctor`. If the guest may be damaged, create it again: `selab vm destroy`.",
        ) from error


class Answers:
    """The answers to queries that were sent together, by the names of the queries.

    An answer is read when it is first needed, after the answers to the queries before it. The error that is
    raised is therefore always that of the first query that failed.
    """

    def __init__(self, unread: Mapping[str, tuple[Query[Any], Completed]]) -> None:
        self._unread = dict(unread)
        self._values: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the query ran. A query does not run after one that failed."""
        return name in self._values or name in self._unread

    def __getitem__(self, name: str) -> Any:
        while name not in self._values:
            if not self._unread:
                detail = f"The query '{name}' did not run, because a query before it failed."
                raise SelabError("The guest did not answer everything.", detail, "Run `selab doctor`.")
            self._read_next()
        return self._values[name]

    def read_all(self) -> None:
        """Read every answer. Raises what reading one of them raises."""
        while self._unread:
            self._read_next()

    def _read_next(self) -> None:
        name, (query, done) = next(iter(self._unread.items()))
        self._values[name] = query.value(done)
        del self._unread[name]


def query_all(guest: Guest, /, **queries: Query[Any]) -> Answers:
    """Send `queries` in one round trip, in this order. A query does not run after one that failed."""
    token = secrets.token_hex(12)
    parts, words = [], [token]
    for query in queries.values():
        places = " ".join(
            f'"${{{number}}}"' for number in range(len(words) + 1, len(words) + 1 + len(query.arguments))
        )
        source = "" if query.input else " </dev/null"
        parts.append(f"part() {{\n{query.script}\n}}\n( part {places} ){source}; status=$?")
        parts.append(
            'printf "%s %s\\n" "$1" "$status"; printf "%s\\n" "$1" >&2; [ "$status" -eq 0 ] || exit 0'
        )
        words += query.arguments
    argv = shell_argv("\n".join(parts), *words)
    whole = guest.run(
        argv,
        input=b"".join(query.input for query in queries.values()),
        timeout=sum(query.timeout for query in queries.values()),
        limit=sum(query.limit + MAX_END for query in queries.values()),
    )
    with reading(whole):
        results = _parts(whole, token.encode(), len(queries))
    return Answers(
        {name: (query, done) for (name, query), done in zip(queries.items(), results, strict=False)}
    )


def _parts(whole: Completed, token: bytes, count: int) -> list[Completed]:
    """Return what each script printed, up to the one that failed.

    A script in which the whole command ended has the exit code of the whole command. If the
    whole is truncated, all answers are. Raises Malformed if there are parts that cannot have run.
    """
    # A guest that audits executed commands has the token in its log, but in quotes.
    output, *rests = re.split(re.escape(token) + rb" (\d{1,3})\n", whole.stdout)
    errors = whole.stderr.split(token + b"\n")
    errors += [b""] * (len(rests) // 2 + 1 - len(errors))  # they are missing if standard error was truncated
    parts: list[Completed] = []
    if len(rests) // 2 > count or any(int(status) for status in rests[:-2:2]):
        raise Malformed("it has an answer to a query that was not sent or could not run")
    if any(int(status) > MAX_STATUS for status in rests[::2]):
        raise Malformed("it has an exit code that no process can have")
    for status, following, error in zip(rests[::2], rests[1::2], errors, strict=False):
        parts.append(Completed(whole.argv, int(status), output, error, whole.truncated))
        output = following
    if len(parts) < count and all(part.ok for part in parts):
        if whole.ok and not whole.truncated:
            raise Malformed("it lacks answers, although no query failed")
        parts.append(Completed(whole.argv, whole.returncode or 1, output, errors[-1], whole.truncated))
    return parts
