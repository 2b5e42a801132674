"""Collect the names that the base policy has, and those that a module's text declares, requires and uses."""

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
"""CIL's keywords, and the kinds that the policy language calls them."""
KINDS = ("type", "attribute", "role", "attribute_role", "bool", "class")
_PARAMETER = re.compile(r"\$([1-9])")
ELSEWHERE = {"container_domain_template": (2, "$2_file_t")}
"""How many arguments a template takes on other distributions, and the type that it builds from them.

Debian's reads the first argument only; container-selinux's (CentOS, Fedora) reads both. A portable policy
gives both.
"""
MOST = 64
"""The number of names that one word of an interface may expand to if its arguments are sets."""

Vocabulary = Mapping[str, frozenset[str]]
"""Names by kind, one of KINDS. A role may also be an attribute of roles and is then listed under both."""


@dataclass(frozen=True)
class Name:
    """A name at its place in the text.

    kind: one of KINDS.
    name: the name itself.
    line: its line, counted from 1.
    inside: names of the blocks around it.
    """

    kind: str
    name: str
    line: int
    inside: tuple[str, ...] = ()


def vocabulary(base: BasePolicy) -> Vocabulary:
    """Read the names that the base policy declares."""
    by_kind: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, name in _DECLARATION.findall(base.flat.read_text()):
        by_kind[_KINDS[kind]].add(name)
    return {kind: frozenset(names) for kind, names in by_kind.items()}


@dataclass
class Names:
    """The names in a module's text.

    declared: names that the text declares.
    made: aliases, and names that called templates declare.
    required: names in `require` blocks.
    attributes: pairs of type and attribute.
    roles: types that a role is allowed.
    used: names in rules and calls.
    passed: names that templates build from their arguments.
    """

    declared: list[Name] = field(default_factory=list)
    made: list[Name] = field(default_factory=list)
    required: list[Name] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)

    def has(self, kind: str, name: str) -> bool:
        return any((known.kind, known.name) == (kind, name) for known in (*self.declared, *self.made))


def names(items: Iterable[Item], table: InterfaceTable) -> Names:
    """Collect the names of a module's text, including those that its interface calls contribute."""
    result = Names()
    for item in walk(items):
        if isinstance(item, Block):
            result.used.update(token.text for token in item.head)
        elif isinstance(item, Call):
            _call(item, table, result)
        elif {"gen_require", "require"} & set(item.inside):
            result.required += _required(item)
        else:
            _statement(item, result)
    return result


def _required(statement: Statement) -> Iterator[Name]:
    """Parse `type a, b;` or `class file { read write };`."""
    kind = {"tunable": "bool"}.get(statement.kind, statement.kind)
    words = statement.words[1:2] if kind == "class" else statement.words[1:]
    return (
        (Name(kind, word.text, word.line, statement.inside) for word in _plain(words))
        if kind in KINDS
        else iter(())
    )


def _plain(words: Iterable[Token]) -> Iterator[Token]:
    return (word for word in words if re.match(r"[\w$]", word.text))


def _statement(statement: Statement, into: Names) -> None:
    kind, texts = statement.kind, [word.text for word in statement.words[1:]]
    if kind == "role" and "types" in texts:
        into.roles.update(texts[texts.index("types") + 1 :])
        into.used.update(texts)
    elif kind in ("attribute", "attribute_role", "role"):
        into.declared += [
            Name(kind, word.text, word.line, statement.inside) for word in _plain(statement.words[1:])
        ]
    elif kind in ("bool", "tunable"):
        into.declared += [
            Name("bool", word.text, word.line, statement.inside) for word in statement.words[1:2]
        ]
    elif kind == "type" and texts:
        _type(statement, texts, into)
    else:
        into.used.update(texts)
        if kind == "typealias":
            into.made += _aliases(statement, statement.words[2:])
        elif kind == "typeattribute" and texts:
            into.attributes.update(itertools.product(*_sides(texts)))


def _type(statement: Statement, texts: list[str], into: Names) -> None:
    """Parse `type a alias { b c }, x, y;`."""
    ends = texts.index(",") if "," in texts else len(texts)
    joined = [text for text in texts[ends:] if text != ","]
    into.declared.append(Name("type", texts[0], statement.words[1].line, statement.inside))
    into.made += _aliases(statement, statement.words[2 : ends + 1])
    into.attributes.update((texts[0], attribute) for attribute in joined)
    into.used.update(joined)


def _aliases(statement: Statement, words: Iterable[Token]) -> Iterator[Name]:
    return (
        Name("type", word.text, word.line, statement.inside) for word in _plain(words) if word.text != "alias"
    )


def _sides(texts: list[str]) -> tuple[list[str], list[str]]:
    """Split a `typeattribute` statement into the types, one or a set, and the attributes."""
    at = texts.index("}") + 1 if texts[0] == "{" and "}" in texts else 1
    return [text for text in texts[:at] if text not in "{}"], [
        text for text in texts[at:] if text not in "{},"
    ]


def _call(call: Call, table: InterfaceTable, into: Names) -> None:
    if call.name in ("gen_tunable", "gen_bool"):
        into.declared += [
            Name("bool", token.text, call.line, call.inside) for token in itertools.chain(*call.arguments[:1])
        ]
        return
    into.used.update(token.text for argument in call.arguments for token in argument)
    if call.name in ELSEWHERE:
        into.passed.update(substituted(ELSEWHERE[call.name][1], call.arguments))
    interface = table.get(call.name)
    if interface is None:
        return
    into.made += [
        Name(kind, name, call.line, call.inside)
        for kind, template_name in interface.declares
        for name in substituted(template_name, call.arguments)
    ]
    for member, attribute in interface.attributes:
        into.attributes.update(
            itertools.product(substituted(member, call.arguments), substituted(attribute, call.arguments))
        )
    for template_name in _touched(interface):
        into.used.update(substituted(template_name, call.arguments))
        into.passed.update(substituted(template_name, call.arguments) if interface.kind == "template" else ())
    for grant in interface.grants:
        if grant.kind == "role_types":
            into.roles.update(substituted(grant.target, call.arguments))


def _touched(interface: Interface) -> set[str]:
    """Return the words that an interface builds from its arguments."""
    words = {side for grant in interface.grants for side in (grant.source, grant.target)}
    words |= {side for pair in interface.attributes for side in pair} | {
        name for _, name in interface.requires
    }
    return {word for word in words if "$" in word}


def substituted(text: str, arguments: Sequence[tuple[Token, ...]]) -> list[str]:
    """Expand `$1` to `$9` in `text`, once for each member of a set; a missing argument becomes empty."""
    numbers = sorted({int(digit) for digit in _PARAMETER.findall(text)})
    options = [_members(arguments[number - 1]) if number <= len(arguments) else [""] for number in numbers]
    substitutions = []
    for chosen in itertools.islice(itertools.product(*options), MOST):
        by_number = dict(zip(numbers, chosen, strict=True))
        substitutions.append(_PARAMETER.sub(lambda match: by_number[int(match[1])], text))  # noqa: B023
    return substitutions


def _members(argument: Sequence[Token]) -> list[str]:
    return [token.text for token in argument if token.text not in "{}`'"] or [""]
