"""Split CIL into the parts that can be removed one by one, and produce the text without some of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from selab.policy.language.cil import OPERATORS, statements
from selab.policy.language.cil_names import PROCESS
from selab.policy.language.cil_source import Statement, parse, walk
from selab.policy.language.commands import commands_in, in_cil
from selab.policy.language.units import Unit

_PARTS = frozenset(
    {
        "allow", "auditallow", "booleanif", "call", "dontaudit", "optional",
        "rangetransition", "roletransition", "tunableif", "typeattributeset", "typechange",
        "typemember", "typepermissive", "typetransition",
    }
)  # fmt: skip
"""Statements that can be removed without removing a declaration of the file. Extended rules are not among
them: each of them limits `ioctl` to the listed commands, so that a policy without it would allow more."""
INHERITS = "blockinherit"
CONTAINER = "container"
"""The block of udica's templates that declares the domain."""
_OPEN = frozenset({"block", "in"})
"""Statements whose content is split."""
_LIMITS = frozenset({"allowx", "auditallowx", "dontauditx"})
_WRITTEN_BY_SUGGEST = re.compile(r"[ \t]*; \S+ \S+:\w+ ")
_REST = re.compile(r"[ \t]*(;[^\n]*)?(\n|$)")


def units(text: str) -> tuple[Unit, ...]:
    """Return the rules, calls, inherited blocks, optionals and conditionals that can be removed, in order.

    Declarations are not units, and neither is the inherited block that declares the domain, which the test
    needs.
    """
    return tuple(_whole_lines(text, each) for each in _removable(parse(text)))


def inherits(unit: Unit) -> bool:
    """Return whether the unit is an inherited block."""
    return unit.text.startswith(f"({INHERITS} ")


def _removable(tree: Sequence[Statement], declaring: Statement | None = None) -> Iterator[Statement]:
    """Yield the statements of `tree` that are units. `declaring` is the one that declares the domain."""
    for statement in tree:
        if statement.keyword in _OPEN:
            yield from _removable(statement.lists, _declaring(statement))
        elif statement.keyword == INHERITS:
            if statement is not declaring:
                yield statement
        elif statement.keyword in _PARTS and not any(each.keyword in _LIMITS for each in walk((statement,))):
            yield statement


def _declaring(block: Statement) -> Statement | None:
    """Return the inherited block that most likely declares the domain of `block`, if `block` does not.

    Each of udica's templates inherits `container`, which declares the type `process`.
    """
    inherited = [each for each in block.lists if each.keyword == INHERITS]
    if block.keyword != "block" or any(each.words == ("type", PROCESS) for each in block.lists):
        return None
    container = (each for each in inherited if each.name.rpartition(".")[2] == CONTAINER)
    return next(container, inherited[0] if inherited else None)


def _whole_lines(text: str, statement: Statement) -> Unit:
    """Extend the part by a comment behind it and by the comment that `selab suggest` wrote above it."""
    begin, end = statement.begin, statement.end
    head = text.rfind("\n", 0, begin) + 1
    rest = _REST.match(text, end)
    if rest is None or text[head:begin].strip():
        return Unit(text[begin:end], begin, end)
    above = text.rfind("\n", 0, max(head - 1, 0)) + 1
    if head and _WRITTEN_BY_SUGGEST.match(text[above:head]):
        head = above
    return Unit(text[begin:end], head, rest.end())


def without(text: str, gone: Collection[Unit]) -> str:
    """Return the text without these units."""
    parts, at = [], 0
    for unit in sorted(gone, key=lambda each: each.start):
        parts.append(text[at : unit.start])
        at = max(at, unit.end)
    return "".join([*parts, text[at:]])


def narrowed(
    text: str, needed: Mapping[str, Collection[str]], commands: Mapping[str, int] | None = None
) -> str:
    """Reduce the permissions of the allow rules to those that are `needed` of their class, and the sets of
    the allowx rules to the ioctl `commands`.

    A set that would become empty stays, and so do named sets, expressions, and the commands of a class
    without known ones.
    """
    changes = [
        (part, fresh)
        for statement in walk(parse(text))
        for part, fresh in _narrower(text, statement, needed, commands or {})
    ]
    for part, fresh in sorted(changes, key=lambda change: -change[0].begin):
        text = text[: part.begin] + fresh + text[part.end :]
    return text


def _narrower(
    text: str, rule: Statement, needed: Mapping[str, Collection[str]], commands: Mapping[str, int]
) -> Iterator[tuple[Statement, str]]:
    """Yield the list of a rule's permissions or commands with its shorter form, if there is one."""
    access = rule.lists[-1] if rule.lists else None
    if access is None or not access.lists:
        return
    listed = access.lists[-1]
    if rule.keyword == "allow" and not listed.lists and listed.keyword not in OPERATORS:
        left = [name for name in listed.words if name in needed.get(access.keyword, ())]
        if left and left != list(listed.words):
            yield listed, f"({' '.join(left)})"
    elif rule.keyword == "allowx" and access.keyword == "ioctl":
        every = commands_in(statements(text[listed.begin : listed.end])[0])
        fewer = every & commands.get(access.name, 0)
        if fewer and fewer != every:
            yield listed, in_cil(fewer)
