"""Read CIL as its author wrote it: each statement with its line and its place in the text.

The syntax is that of secilc's CIL reference ("Getting Started"): S-expressions, `;` begins a comment, and a
quoted string has no escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

from selab.errors import SelabError

MAX_DEPTH = 200
"""How deep lists may be nested. No policy in use comes near it, and what walks the tree is recursive."""
SHOWN = 100
"""Characters of a statement that a message shows."""
LOOKED_AT = 10 * SHOWN
"""Characters of a statement that are read for a message, with its white space."""
_TOKEN = re.compile(r'"[^"]*"|;[^\n]*|[()]|[^\s();"]+')


@dataclass(frozen=True, slots=True)
class Statement:
    """A list in parentheses.

    words: its direct words in their order, with the quotes of strings.
    lists: the lists in it.
    begin, end: positions in the text, from the opening parenthesis to behind the closing one.
    line: number of the line that it begins in, counted from 1.
    """

    words: tuple[str, ...]
    lists: tuple[Statement, ...]
    begin: int
    end: int
    line: int

    @property
    def keyword(self) -> str:
        """Return the first word, or an empty string."""
        return self.words[0] if self.words else ""

    @property
    def name(self) -> str:
        """Return the second word: what a declaration, a block or a call names."""
        return self.words[1] if len(self.words) > 1 else ""


class SyntaxFault(SelabError):
    """The text is not CIL.

    line: number of the line, counted from 1.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__("The CIL cannot be read.", f"line {line}: {problem}")
        self.line = line
        self.problem = problem


def parse(text: str) -> tuple[Statement, ...]:
    """Return the statements of a file. Raises SyntaxFault with the line where the parentheses go wrong."""
    done: list[Statement] = []
    open_lists: list[tuple[int, int, list[str], list[Statement]]] = []
    line, before = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", before, match.start())
        before = match.start()
        token = match[0]
        if token == "(":
            if len(open_lists) == MAX_DEPTH:
                raise SyntaxFault(line, f"more than {MAX_DEPTH} parentheses are open.")
            open_lists.append((before, line, [], []))
        elif token == ")":
            if not open_lists:
                raise SyntaxFault(line, "this closing parenthesis closes nothing.")
            begin, first, words, lists = open_lists.pop()
            statement = Statement(tuple(words), tuple(lists), begin, match.end(), first)
            (open_lists[-1][3] if open_lists else done).append(statement)
        elif not token.startswith(";"):
            if not open_lists:
                raise SyntaxFault(line, f"'{token}' is outside of all parentheses.")
            open_lists[-1][2].append(token)
    if open_lists:
        raise SyntaxFault(open_lists[0][1], "the statement that begins here is not closed.")
    return tuple(done)


def walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Yield the statements and everything in them, in the order of the text."""
    for statement in statements:
        yield statement
        yield from walk(statement.lists)


def excerpt(text: str, statement: Statement) -> str:
    """Return the beginning of a statement as its author wrote it in `text`, on one line."""
    beginning = text[statement.begin : min(statement.end, statement.begin + LOOKED_AT)]
    return shorten(" ".join(beginning.split()), SHOWN, placeholder=" ...")
