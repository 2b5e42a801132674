"""Find the names in CIL: which names a statement declares, and which names of what kind it refers to.

The kinds are the namespaces of libsepol (cil_internal.h, cil_sym_index): types, attributes of types and
aliases share one. Positions are those of secilc's CIL reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selab.policy.language.cil import OPERATORS
from selab.policy.language.cil_source import Statement, walk

TYPE, ROLE, USER, CLASS, BOOLEAN = "type", "role", "user", "class", "boolean"
BLOCK, MACRO, PERMISSION = "block", "macro", "permission"
CONTAINER = "block, macro or optional"
PROCESS = "process"
"""The type of a container's processes in a block of CIL, as udica and its templates name it."""
CLASS_PERMISSION, EXTENDED_PERMISSION = "class permission", "extended permission"
DECLARES = {
    "type": TYPE, "typealias": TYPE, "typeattribute": TYPE,
    "role": ROLE, "roleattribute": ROLE,
    "user": USER, "userattribute": USER,
    "class": CLASS, "classmap": CLASS,
    "boolean": BOOLEAN, "tunable": BOOLEAN,
    "block": BLOCK, "macro": MACRO,
    "classpermission": CLASS_PERMISSION, "permissionx": EXTENDED_PERMISSION,
}  # fmt: skip
"""Statements that declare a name, with its kind. Parameters of macros are declared by the same words."""
TITLES = {"typeattribute": "attribute", "typealias": "alias", "classmap": "class map", "tunable": "tunable"}
"""What messages call a declared name, if not by its kind."""
CONTENT = frozenset({"block", "in", "optional", "macro", "booleanif", "tunableif", "true", "false"})
"""Statements that contain statements."""
DEFINES = frozenset(
    {
        "blockabstract",
        "classpermissionset",
        "expandtypeattribute",
        "optional",
        "roleattributeset",
        "typeattributeset",
        "userattributeset",
    }
)
"""Statements that say what a name stands for, which is not yet a use of it."""
_ACCESS = frozenset({"allow", "auditallow", "dontaudit", "neverallow", "deny"})
_EXTENDED = frozenset({"allowx", "auditallowx", "dontauditx", "neverallowx"})
_WORDS = {
    **dict.fromkeys(_ACCESS, (TYPE, TYPE, CLASS_PERMISSION)),
    **dict.fromkeys(_EXTENDED, (TYPE, TYPE, EXTENDED_PERMISSION)),
    "typechange": (TYPE, TYPE, CLASS, TYPE),
    "typemember": (TYPE, TYPE, CLASS, TYPE),
    "rangetransition": (TYPE, TYPE, CLASS),
    "typeattributeset": (TYPE, TYPE),
    "expandtypeattribute": (TYPE,),
    "typealiasactual": (TYPE, TYPE),
    "typebounds": (TYPE, TYPE),
    "typepermissive": (TYPE,),
    "roletype": (ROLE, TYPE),
    "roletransition": (ROLE, TYPE, CLASS, ROLE),
    "roleallow": (ROLE, ROLE),
    "roleattributeset": (ROLE, ROLE),
    "rolebounds": (ROLE, ROLE),
    "userrole": (USER, ROLE),
    "userattributeset": (USER, USER),
    "booleanif": (BOOLEAN,),
    "tunableif": (BOOLEAN,),
    "blockinherit": (BLOCK,),
    "call": (MACRO,),
    "classpermissionset": (CLASS_PERMISSION,),
    "classcommon": (CLASS,),
    "classmapping": (CLASS,),
}
"""The kinds of a statement's words, in their order."""
_EXPRESSION = {
    "typeattributeset": TYPE, "expandtypeattribute": TYPE, "roleattributeset": ROLE,
    "userattributeset": USER, "booleanif": BOOLEAN, "tunableif": BOOLEAN,
}  # fmt: skip
"""Statements with an expression of names, with the kind of these."""
_LABELLING = frozenset({"filecon", "genfscon", "portcon", "netifcon", "nodecon", "fsuse", "sidcontext"})
_TRANSITION = (TYPE, TYPE, CLASS, TYPE)
_CONTEXT = (USER, ROLE, TYPE)
_BUILTIN = frozenset({"self", "notself", "other", "cil_gen_require", "range", "true", "false"}) | OPERATORS
"""Words that stand for themselves."""
_NAME = re.compile(r"\.?[A-Za-z_][\w.-]*")


@dataclass(frozen=True, slots=True)
class Placed:
    """A statement and where it stands.

    inside: the statements that it is in, outermost first.
    scope: names of the blocks and macros around it.
    patterns: names of those that have no effect by themselves: macros and abstract blocks.
    parameters: parameters of the macros around it.
    """

    statement: Statement
    inside: tuple[Statement, ...] = ()
    scope: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    parameters: frozenset[str] = frozenset()

    def within(self) -> Placed:
        """Return the place of the statements that this one contains."""
        outer = self.statement
        is_macro = outer.keyword == "macro"
        return Placed(
            outer,
            (*self.inside, outer),
            (*self.scope, outer.words[-1]) if outer.keyword in ("block", "in", "macro") else self.scope,
            (*self.patterns, outer.name) if is_macro or is_abstract(outer) else self.patterns,
            self.parameters | set(parameters(outer)) if is_macro else self.parameters,
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that a statement refers to.

    kind: its kind.
    name: the name as written.
    line: its line.
    tclass: for a permission the name of its class, else empty.
    """

    kind: str
    name: str
    line: int
    tclass: str = ""


def placed(statements: Iterable[Statement]) -> Iterator[Placed]:
    """Yield the statements, and what blocks, macros, optionals and conditionals contain."""
    waiting = [Placed(each) for each in statements][::-1]
    while waiting:
        each = waiting.pop()
        yield each
        if each.statement.keyword in CONTENT:
            inner = content(each.statement)
            first = each.within()
            waiting += [replace(first, statement=statement) for statement in reversed(inner)]


def is_abstract(statement: Statement) -> bool:
    """Return whether a statement is a block that only counts if another one inherits it."""
    return statement.keyword == "block" and any(each.keyword == "blockabstract" for each in statement.lists)


def content(statement: Statement) -> Sequence[Statement]:
    """Return the statements in a block, macro, optional or conditional."""
    match statement.keyword:
        case "macro":
            return statement.lists[1:]
        case "booleanif" | "tunableif":
            return [each for each in statement.lists if each.keyword in ("true", "false")]
        case _:
            return statement.lists


def parameters(macro: Statement) -> dict[str, str]:
    """Return the parameters of a macro in their order, with the words that declare them."""
    listed = macro.lists[0].lists if macro.lists else ()
    return {each.name: each.keyword for each in listed if each.name}


def last(name: str) -> str:
    """Return a name without the blocks that it is in."""
    return name.rpartition(".")[2]


def outwards(scope: Sequence[str]) -> list[str]:
    """Return the prefixes of the names in a block and in those around it: `a.b.`, `a.`, and an empty one."""
    return ["".join(f"{name}." for name in scope[:length]) for length in range(len(scope), -1, -1)]


def mentioned(statement: Statement) -> Iterator[str]:
    """Yield the words with which a statement uses names: not those that it declares or defines."""
    defines = statement.keyword in DECLARES or statement.keyword in DEFINES
    yield from statement.words[2 if defines else 1 :]
    if statement.keyword not in CONTENT:
        yield from (word for each in walk(statement.lists) for word in each.words)
    elif statement.keyword in _EXPRESSION:
        yield from (reference.name for reference in references(statement))


def references(statement: Statement) -> Iterator[Reference]:
    """Yield the names that a statement refers to, without those in the statements that it contains."""
    keyword, words = statement.keyword, statement.words[1:]
    yield from _names(statement, _kinds(keyword, words), words)
    if kind := _EXPRESSION.get(keyword):
        expressions = [each for each in statement.lists if each.keyword not in ("true", "false")]
        for each in walk(expressions):
            yield from _names(each, (kind,) * len(each.words), each.words)
    elif keyword in _ACCESS or keyword in ("classpermissionset", "constrain", "mlsconstrain"):
        yield from _permissions(statement.lists[:1])
    elif keyword == "classmapping":
        yield from _permissions(statement.lists[-1:])
    elif keyword in _EXTENDED or keyword == "permissionx":
        for each in statement.lists[:1]:
            yield from _names(each, (CLASS,), each.words[1:])
    elif keyword in _LABELLING:
        for each in statement.lists:
            if len(each.words) >= len(_CONTEXT):
                yield from _names(each, _CONTEXT, each.words)


def _kinds(keyword: str, words: Sequence[str]) -> tuple[str, ...]:
    if keyword == "typetransition":
        return _TRANSITION if len(words) < 5 else (*_TRANSITION[:3], "", TYPE)
    if keyword == "in":
        return (*("",) * (len(words) - 1), CONTAINER)
    return _WORDS.get(keyword, ())


def _names(statement: Statement, kinds: Sequence[str], words: Sequence[str]) -> Iterator[Reference]:
    for kind, word in zip(kinds, words, strict=False):
        if kind and word not in _BUILTIN and _NAME.fullmatch(word):
            yield Reference(kind, word, statement.line)


def _permissions(lists: Iterable[Statement]) -> Iterator[Reference]:
    """Yield the class of `(file (read write))`, and its permissions."""
    for each in lists:
        yield from _names(each, (CLASS,), each.words[:1])
        for part in walk(each.lists):
            for word in part.words:
                if word not in _BUILTIN:
                    yield Reference(PERMISSION, word, part.line, each.keyword)


@dataclass(frozen=True)
class Vocabulary:
    """Declared names.

    names: the names by their kinds, without the blocks that they are in.
    permissions: the permissions of each class, with those of its common.
    outermost: those of the names that are in no block.
    """

    names: Mapping[str, frozenset[str]]
    permissions: Mapping[str, frozenset[str]]
    outermost: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has_global(self, kind: str, name: str) -> bool:
        """Return whether a name is declared in no block."""
        return name in self.outermost.get(kind, frozenset())

    def knows(self, reference: Reference) -> bool:
        """Return whether the name may be declared: somewhere, in any block. So may the blocks before it."""
        if reference.kind == PERMISSION:
            return reference.name in self.permissions.get(last(reference.tclass), {reference.name})
        *blocks, name = reference.name.removeprefix(".").split(".")
        known = name in self.names.get(reference.kind, frozenset())
        return known and self.names.get(CONTAINER, frozenset()).issuperset(blocks)

    def like(self, reference: Reference) -> frozenset[str]:
        """Return the names that `reference` could be: of its kind, or of its class."""
        if reference.kind == PERMISSION:
            return self.permissions.get(last(reference.tclass), frozenset())
        return self.names.get(reference.kind, frozenset())


def vocabulary(statements: Iterable[Statement]) -> Vocabulary:
    """Collect the names that statements declare, in blocks and outside, and the permissions of classes.

    Of a qualified name, as a flat base has it, each part before the last is a block.
    """
    names: dict[str, set[str]] = {}
    outermost: dict[str, set[str]] = {}
    own: dict[str, set[str]] = {}
    commons: dict[str, set[str]] = {}
    common_of: list[tuple[str, str]] = []
    for each in placed(statements):
        statement = each.statement
        if kind := DECLARES.get(statement.keyword):
            *blocks, name = statement.name.split(".")
            names.setdefault(kind, set()).add(name)
            if not blocks and not each.scope:
                outermost.setdefault(kind, set()).add(name)
            names.setdefault(BLOCK, set()).update(blocks)
            names.setdefault(CONTAINER, set()).update(blocks)
        if statement.keyword in ("block", "macro", "optional"):
            names.setdefault(CONTAINER, set()).add(last(statement.name))
        if statement.keyword in ("class", "classmap", "common"):
            table = commons if statement.keyword == "common" else own
            table.setdefault(last(statement.name), set()).update(*(part.words for part in statement.lists))
        elif statement.keyword == "classcommon":
            common_of.append((last(statement.name), last(statement.words[-1])))
    for tclass, common in common_of:
        own.setdefault(tclass, set()).update(commons.get(common, ()))
    return Vocabulary(
        *({key: frozenset(members) for key, members in table.items()} for table in (names, own, outermost))
    )


def united(vocabularies: Iterable[Vocabulary]) -> Vocabulary:
    """Return what any of the vocabularies has."""
    names, permissions, outermost = _Table(), _Table(), _Table()
    for each in vocabularies:
        names.add(each.names)
        permissions.add(each.permissions)
        outermost.add(each.outermost)
    return Vocabulary(names, permissions, outermost)


class _Table(dict[str, frozenset[str]]):
    """Sets of names by a key."""

    def add(self, other: Mapping[str, frozenset[str]]) -> None:
        for key, members in other.items():
            self[key] = self.get(key, frozenset()) | members
