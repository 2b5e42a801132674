"""Parse a policy module's text as its author wrote it, before m4: calls, statements and blocks, each with its
line.

Parsing never fails: the compiler reports what does not parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r'"[^"\n]*"|(?P<comment>#[^\n]*|\bdnl\b[^\n]*)|[\w$./][\w$./-]*|&&|\|\||[!=]=|\S')
_NAME = re.compile(r"[A-Za-z_]\w*")
_CODE = {
    "optional_policy": (0, 1),
    "tunable_policy": (1, 2),
    "gen_require": (0,),
    "ifdef": (1, 2),
    "ifndef": (1, 2),
    "ifelse": (2, 3, 4, 5, 6, 7, 8),
}
"""The positions of those arguments of each macro that are policy text themselves."""
_BRACED = ("require", "optional")
DEEPEST = 40
"""Blocks nested deeper than this are skipped, so that a text of brackets only cannot exhaust the stack."""


@dataclass(frozen=True)
class Token:
    """A word, a string, a quote or a punctuation mark.

    text: the token itself.
    line: its line, counted from 1.
    start: its offset in the text.
    """

    text: str
    line: int
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Statement:
    """The words of a statement.

    words: the tokens before the semicolon.
    inside: names of the blocks around the statement, the outermost first.
    """

    words: tuple[Token, ...]
    inside: tuple[str, ...]

    @property
    def line(self) -> int:
        return self.words[0].line

    @property
    def kind(self) -> str:
        return self.words[0].text


@dataclass(frozen=True)
class Call:
    """A call of a macro.

    name: name of the macro.
    line: its line, counted from 1.
    arguments: tokens of each argument, without the quotes around it; `f()` has no arguments.
    inside: names of the blocks around the call, the outermost first.
    """

    name: str
    line: int
    arguments: tuple[tuple[Token, ...], ...]
    inside: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A block that a macro or a keyword opens.

    name: the macro or keyword.
    line: its line, counted from 1.
    head: tokens that the block depends on, such as a tunable.
    bodies: items of each branch.
    inside: names of the blocks around the block, the outermost first.
    """

    name: str
    line: int
    head: tuple[Token, ...]
    bodies: tuple[tuple[Item, ...], ...]
    inside: tuple[str, ...]


Item = Statement | Call | Block


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text` without comments, m4's `dnl` lines and a byte order mark."""
    result: list[Token] = []
    line, at = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        if match["comment"] is None and match[0] != "\ufeff":
            result.append(Token(match[0], line, match.start()))
    return result


def items(words: Sequence[Token], inside: tuple[str, ...] = ()) -> tuple[Item, ...]:
    """Return the items of the text in their order."""
    return tuple(item for item, _, _ in placed(words, inside))


def placed(words: Sequence[Token], inside: tuple[str, ...] = ()) -> Iterator[tuple[Item, int, int]]:
    """Yield each item with the offset where it begins and the offset after its end."""
    at = 0
    while at < len(words):
        if words[at].text in "`';{}(),":
            at += 1
        else:
            start = words[at].start
            item, at = _item(words, at, inside)
            yield item, start, words[min(at, len(words)) - 1].end


def walk(every: Iterable[Item]) -> Iterator[Item]:
    """Yield every item and the items nested in it, in the order of the text."""
    for item in every:
        yield item
        if isinstance(item, Block):
            for body in item.bodies:
                yield from walk(body)


def _item(words: Sequence[Token], at: int, inside: tuple[str, ...]) -> tuple[Item, int]:
    word = words[at]
    following = words[at + 1].text if at + 1 < len(words) else ""
    if word.text == "if" and following == "(":
        (head, *_), end = _arguments(words, at + 2)
        return _braced(word, head, words, end, inside)
    if word.text in _BRACED and following == "{":
        return _braced(word, (), words, at + 1, inside)
    if following == "(" and _NAME.fullmatch(word.text):
        arguments, end = _arguments(words, at + 2)
        return _call(word, arguments, inside), end
    end = next((number for number in range(at, len(words)) if words[number].text == ";"), len(words))
    return Statement(tuple(words[at:end]), inside), end + 1


def _call(word: Token, arguments: list[tuple[Token, ...]], inside: tuple[str, ...]) -> Item:
    if word.text not in _CODE:
        given = tuple(arguments) if len(arguments) > 1 or arguments[0] else ()
        return Call(word.text, word.line, given, inside)
    head = tuple(
        token
        for number, argument in enumerate(arguments)
        if number not in _CODE[word.text]
        for token in argument
    )
    code = [argument for number, argument in enumerate(arguments) if number in _CODE[word.text]]
    return Block(
        word.text, word.line, head, tuple(_inner(argument, word, inside) for argument in code), inside
    )


def _inner(words: Sequence[Token], around: Token, inside: tuple[str, ...]) -> tuple[Item, ...]:
    return items(words, (*inside, around.text)) if len(inside) < DEEPEST else ()


def _braced(
    word: Token, head: tuple[Token, ...], words: Sequence[Token], at: int, inside: tuple[str, ...]
) -> tuple[Item, int]:
    """Parse the block that begins at the brace at `at`, with its `else` branch."""
    bodies: list[tuple[Item, ...]] = []
    while at < len(words) and words[at].text == "{":
        depth, end = 1, at + 1
        while end < len(words) and depth:
            depth += {"{": 1, "}": -1}.get(words[end].text, 0)
            end += 1
        bodies.append(_inner(words[at + 1 : end - 1 if not depth else end], word, inside))
        at = end + 1 if end < len(words) and words[end].text == "else" else end
        if at == end:
            break
    return Block(word.text, word.line, head, tuple(bodies), inside), at


def _arguments(words: Sequence[Token], at: int) -> tuple[list[tuple[Token, ...]], int]:
    """Parse the arguments of a call after its parenthesis; return them (at least one) and where the text
    continues.

    Quoted text is not split.
    """
    arguments: list[list[Token]] = [[]]
    parentheses = quotes = 0
    while at < len(words):
        word = words[at]
        at += 1
        quotes = max(0, quotes + {"`": 1, "'": -1}.get(word.text, 0))
        if not quotes and not parentheses and word.text in "),":
            if word.text == ")":
                break
            arguments.append([])
            continue
        if not quotes:
            parentheses += {"(": 1, ")": -1}.get(word.text, 0)
        arguments[-1].append(word)
    return [_unquoted(argument) for argument in arguments], at


def _unquoted(argument: list[Token]) -> tuple[Token, ...]:
    if len(argument) > 1 and argument[0].text == "`" and argument[-1].text == "'":
        argument = argument[1:-1]
    return tuple(argument)
