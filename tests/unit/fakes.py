"""A Guest for unit tests of logic: scripted answers, a record of what was asked, and a loud failure for what was not expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selab.errors import CommandFailed
from selab.guest import RUN_TIMEOUT, Completed

Answer = tuple[int, str, str]


class FakeGuest:
    """Answers a command by the first rule whose words all occur in it; `files` is its file system."""

    def __init__(self) -> None:
        self.rules: list[tuple[tuple[str, ...], Callable[[Sequence[str]], Answer]]] = []
        self.asked: list[tuple[str, ...]] = []
        self.inputs: list[bytes] = []
        self.files: dict[str, bytes] = {}
        self.closed = False

    def answer(self, *words: str, code: int = 0, out: str = "", err: str = "") -> None:
        """Let a command that has all of `words` in its arguments end with `code`, `out` and `err`."""
        self.rules.append((words, lambda argv: (code, out, err)))

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        self.asked.append(tuple(argv))
        self.inputs.append(input)
        line = " ".join(argv)
        for words, rule in self.rules:
            if all(word in line for word in words):
                code, out, err = rule(argv)
                return Completed(tuple(argv), code, out.encode(), err.encode())
        raise AssertionError(f"the fake guest was not told how to answer {argv!r}")

    def close(self) -> None:
        self.closed = True

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def get(self, path: str) -> bytes:
        if path not in self.files:
            raise CommandFailed(f"{path} cannot be read.", ("get", path), 1, "No such file")
        return self.files[path]
