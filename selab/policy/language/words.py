"""Read the words of a policy text in order: names, sets and lists of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|[\w$./][\w$./-]*|&&|\|\||[!=]=|\S')
_NAME = re.compile(r'"[^"]*"|[\w$./][\w$./-]*')
EVERYTHING = "*"


class NotAStatement(ValueError):
    """The text contains something that is no policy statement, such as a macro that m4 does not define."""


@dataclass(frozen=True)
class NameSet:
    """A set of names in their order, and the names that it excludes."""

    names: tuple[str, ...]
    without: frozenset[str] = frozenset()


def split_words(text: str) -> list[str]:
    """Split a policy text into words and punctuation, without comments."""
    return [token for token in _TOKEN.findall(text) if token[0] != "#"]


@dataclass
class WordReader:
    """Reads `tokens` in order. Each method raises NotAStatement at a token that does not fit."""

    tokens: list[str]
    at: int = field(default=0, init=False)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise self.stop(token)
        self.at += 1
        return token

    def stop(self, token: str) -> NotAStatement:
        around = " ".join(self.tokens[max(0, self.at - 3) : self.at + 3])
        return NotAStatement(f"'{token}' in: {around}" if token else f"it ends after: {around}")

    def name(self) -> str:
        if not _NAME.fullmatch(self.peek()):
            raise self.stop(self.peek())
        return self.take()

    def until(self, end: str) -> list[str]:
        """Read the words up to `end`, at least one."""
        words = [self.take()]
        while self.peek() != end:
            words.append(self.take())
        self.take(end)
        return words

    def names(self) -> tuple[str, ...]:
        """Read names separated by commas, up to the semicolon."""
        names = list(self.set().names)
        while self.peek() == ",":
            self.take()
            names += self.set().names
        self.take(";")
        return tuple(names)

    def set(self) -> NameSet:
        """Read a name, `*`, `~` of a set, or a braced set; braces may nest, because macros expand to sets in
        sets.
        """
        word = self.peek()
        if word == "~":
            self.take()
            inside = self.set()
            return NameSet((EVERYTHING,), frozenset(inside.names))
        if word == EVERYTHING:
            return NameSet((self.take(),))
        if word != "{":
            return NameSet((self.name(),))
        self.take()
        names: list[str] = []
        without: set[str] = set()
        while self.peek() != "}":
            if self.peek() == "-":
                self.take()
                without.update(self.set().names)
            else:
                inside = self.set()
                names += inside.names
                without |= inside.without
        self.take("}")
        if not names:
            raise self.stop("}")
        return NameSet(tuple(dict.fromkeys(names)), frozenset(without))
