"""Names: what the base policy has, and what a module's text declares, requires, joins and uses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.te import Block, Call, Item, Statement, Token, walk

_DECLARATION = re.compile(r"\((type|typealias|typeattribute|role|roleattribute|boolean|class) ([^()\s]+)")
_KINDS = {
    "type": "type",
    "typealias": "type",
    "typeattribute": "attribute",
    "role": "role",
    "roleattribute": "attribute_role",
    "boolean": "bool",
    "class": "class",
}
"""CIL's words for what the policy language calls otherwise."""
KINDS = ("type", "attribute", "role", "attribute_role", "bool", "class")
_PARAMETER = re.compile(r"\$([1-9])")
ELSEWHERE = {"container_domain_template": (2, "$2_file_t")}
"""How many arguments a template has on other distributions, and the type that it makes of them: Debian's reads its first and leaves the
second, container-selinux's (CentOS, Fedora) reads both. A policy for either gives both."""
MOST = 64
"""Names that one word of an interface may become, where its arguments are sets."""

Vocabulary = Mapping[str, frozenset[str]]
"""Names by their kind, one of KINDS. A role may be an attribute of roles as well, and stands under both."""


@dataclass(frozen=True)
class Name:
    """A name at its place in the text; `inside` are the blocks around it."""

    kind: str
    name: str
    line: int
    inside: tuple[str, ...] = ()


def vocabulary(base: BasePolicy) -> Vocabulary:
    """What the base policy declares."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, name in _DECLARATION.findall(base.flat.read_text()):
        found[_KINDS[kind]].add(name)
    return {kind: frozenset(names) for kind, names in found.items()}


@dataclass
class Names:
    """What a text says of names.

    `made` are aliases, and what a template declares that it calls; `passed` is what templates make of their arguments; `attributes` are
    (type, attribute), `roles` the types that some role may have.
    """

    declared: list[Name] = field(default_factory=list)
    made: list[Name] = field(default_factory=list)
    required: list[Name] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)

    def has(self, kind: str, name: str) -> bool:
        return any((one.kind, one.name) == (kind, name) for one in (*self.declared, *self.made))


def names(items: Iterable[Item], table: InterfaceTable) -> Names:
    """The names of a module's text, those among them that its calls of interfaces bring in."""
    found = Names()
    for item in walk(items):
        if isinstance(item, Block):
            found.used.update(token.text for token in item.head)
        elif isinstance(item, Call):
            _call(item, table, found)
        elif {"gen_require", "require"} & set(item.inside):
            found.required += _required(item)
        else:
            _statement(item, found)
    return found


def _required(statement: Statement) -> Iterator[Name]:
    """`type a, b;` or `class file { read write };`"""
    kind = {"tunable": "bool"}.get(statement.kind, statement.kind)
    words = statement.words[1:2] if kind == "class" else statement.words[1:]
    return (
        (Name(kind, word.text, word.line, statement.inside) for word in _plain(words))
        if kind in KINDS
        else iter(())
    )


def _plain(words: Iterable[Token]) -> Iterator[Token]:
    return (word for word in words if re.match(r"[\w$]", word.text))


def _statement(statement: Statement, found: Names) -> None:
    kind, texts = statement.kind, [word.text for word in statement.words[1:]]
    if kind == "role" and "types" in texts:
        found.roles.update(texts[texts.index("types") + 1 :])
        found.used.update(texts)
    elif kind in ("attribute", "attribute_role", "role"):
        found.declared += [
            Name(kind, word.text, word.line, statement.inside) for word in _plain(statement.words[1:])
        ]
    elif kind in ("bool", "tunable"):
        found.declared += [
            Name("bool", word.text, word.line, statement.inside) for word in statement.words[1:2]
        ]
    elif kind == "type" and texts:
        _type(statement, texts, found)
    else:
        found.used.update(texts)
        if kind == "typealias":
            found.made += _aliases(statement, statement.words[2:])
        elif kind == "typeattribute" and texts:
            found.attributes.update(itertools.product(*_sides(texts)))


def _type(statement: Statement, texts: list[str], found: Names) -> None:
    """`type a alias { b c }, x, y;`"""
    ends = texts.index(",") if "," in texts else len(texts)
    joined = [text for text in texts[ends:] if text != ","]
    found.declared.append(Name("type", texts[0], statement.words[1].line, statement.inside))
    found.made += _aliases(statement, statement.words[2 : ends + 1])
    found.attributes.update((texts[0], attribute) for attribute in joined)
    found.used.update(joined)


def _aliases(statement: Statement, words: Iterable[Token]) -> Iterator[Name]:
    return (
        Name("type", word.text, word.line, statement.inside) for word in _plain(words) if word.text != "alias"
    )


def _sides(texts: list[str]) -> tuple[list[str], list[str]]:
    """The types, one or a set, and the attributes of a `typeattribute` statement."""
    at = texts.index("}") + 1 if texts[0] == "{" and "}" in texts else 1
    return [text for text in texts[:at] if text not in "{}"], [
        text for text in texts[at:] if text not in "{},"
    ]


def _call(call: Call, table: InterfaceTable, found: Names) -> None:
    if call.name in ("gen_tunable", "gen_bool"):
        found.declared += [
            Name("bool", token.text, call.line, call.inside) for token in itertools.chain(*call.arguments[:1])
        ]
        return
    found.used.update(token.text for argument in call.arguments for token in argument)
    if call.name in ELSEWHERE:
        found.passed.update(substituted(ELSEWHERE[call.name][1], call.arguments))
    interface = table.get(call.name)
    if interface is None:
        return
    found.made += [
        Name(kind, name, call.line, call.inside)
        for kind, said in interface.declares
        for name in substituted(said, call.arguments)
    ]
    for member, attribute in interface.attributes:
        found.attributes.update(
            itertools.product(substituted(member, call.arguments), substituted(attribute, call.arguments))
        )
    for said in _touched(interface):
        found.used.update(substituted(said, call.arguments))
        found.passed.update(substituted(said, call.arguments) if interface.kind == "template" else ())
    for grant in interface.grants:
        if grant.kind == "role_types":
            found.roles.update(substituted(grant.target, call.arguments))


def _touched(interface: Interface) -> set[str]:
    """The words that an interface makes out of its arguments."""
    words = {side for grant in interface.grants for side in (grant.source, grant.target)}
    words |= {side for pair in interface.attributes for side in pair} | {
        name for _, name in interface.requires
    }
    return {word for word in words if "$" in word}


def substituted(text: str, arguments: Sequence[tuple[Token, ...]]) -> list[str]:
    """What `text` with `$1` to `$9` becomes: a name for each in the sets among the `arguments`; an argument that is missing is empty."""
    numbers = sorted({int(digit) for digit in _PARAMETER.findall(text)})
    options = [_members(arguments[number - 1]) if number <= len(arguments) else [""] for number in numbers]
    found = []
    for chosen in itertools.islice(itertools.product(*options), MOST):
        by_number = dict(zip(numbers, chosen, strict=True))
        found.append(_PARAMETER.sub(lambda match: by_number[int(match[1])], text))  # noqa: B023
    return found


def _members(argument: Sequence[Token]) -> list[str]:
    return [token.text for token in argument if token.text not in "{}`'"] or [""]
