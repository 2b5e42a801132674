"""Read CIL: its S-expressions, their operators, and access rules."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selab.errors import SelabError

Node = str | list["Node"]
"""An S-expression is a word or a list of S-expressions. A quoted string keeps its quotes."""

OPERATORS = frozenset({"and", "or", "xor", "not", "all", "eq", "neq"})
"""These words begin an expression (secilc's CIL reference, "Expressions"); other lists are unions."""

_WORD = re.compile(r"[()]|[^\s()]+")
_INFIX: dict[str, Callable[[bool, bool], bool]] = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "==": operator.eq,
    "!=": operator.ne,
}
_TOKEN = re.compile(r'"[^"]*"|;[^\n]*|[()]|[^\s();"]+')


@dataclass(frozen=True, slots=True)
class Rule:
    """An access rule.

    kind: `allow`, `dontaudit` and so on; `allowx` for an extended rule.
    source, target: names as written: types, attributes, `self`.
    tclass: object class.
    permissions: their names. An extended rule has one: its expression of ioctl numbers, as CIL writes it.
    condition: boolean expression as readable text, or empty.
    """

    kind: str
    source: str
    target: str
    tclass: str
    permissions: frozenset[str]
    condition: str = ""


def statements(text: str) -> list[Node]:
    """Parse the S-expressions in `text`. Raises SelabError if its parentheses do not match."""
    stack: list[list[Node]] = [[]]
    for token in _TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            if not stack:
                raise SelabError("The CIL cannot be read.", "It contains an unmatched closing parenthesis.")
            stack[-1].append(done)
        elif not token.startswith(";"):
            stack[-1].append(token)
    if len(stack) > 1:
        raise SelabError("The CIL cannot be read.", "A parenthesis is not closed.")
    return stack[0]


def text_of(node: Node) -> str:
    """Format the S-expression as CIL writes it."""
    return node if isinstance(node, str) else f"({' '.join(map(text_of, node))})"


def members(
    expression: Node, everything: frozenset[str], named: Callable[[str], frozenset[str]]
) -> frozenset[str]:
    """Evaluate `expression` to a subset of `everything`; `named` returns the set that a name stands for."""
    if isinstance(expression, str):
        return named(expression)
    head = expression[0] if expression and isinstance(expression[0], str) else ""
    parts = expression[1:] if head in OPERATORS else expression
    sets = [members(part, everything, named) for part in parts]
    match head:
        case "and":
            return everything.intersection(*sets)
        case "xor":
            return sets[0] ^ sets[1]
        case "not":
            return everything - sets[0]
        case "all":
            return everything
        case _:
            return frozenset[str]().union(*sets)


def names_in(expression: Node) -> frozenset[str]:
    """Return the names in an expression, without its operators."""
    if isinstance(expression, str):
        return frozenset({expression})
    parts = expression[1:] if expression and expression[0] in OPERATORS else expression
    return frozenset[str]().union(*map(names_in, parts))


def summary(expression: Node) -> str:
    """Format a boolean expression as text: "httpd_enable_cgi and not (httpd_use_nfs or httpd_use_cifs)"."""
    if isinstance(expression, str):
        return expression
    if len(expression) == 1:
        return summary(expression[0])
    head, *parts = expression
    if head == "not":
        return f"not {_within(parts[0])}"
    sign = {"eq": "==", "neq": "!="}.get(str(head), str(head))
    return f" {sign} ".join(map(_within, parts))


def holds(condition: str, values: Mapping[str, bool]) -> bool:
    """Evaluate the text of `summary` by the values of the booleans; one without a value is off."""
    words = _WORD.findall(condition)[::-1]

    def operand() -> bool:
        word = words.pop()
        if word == "not":
            return not operand()
        if word != "(":
            return values.get(word, False)
        value = infix()
        words.pop()
        return value

    def infix() -> bool:
        value = operand()
        while words and words[-1] != ")":
            value = _INFIX[words.pop()](value, operand())
        return value

    return infix()


def _within(expression: Node) -> str:
    text = summary(expression)
    return f"({text})" if " " in text and not text.startswith("not ") else text
