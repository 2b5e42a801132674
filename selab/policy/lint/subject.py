"""What the checks of a module look at."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from selab.policy.base import BasePolicy
from selab.policy.compile import interfaces
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.te import Call, Item, Statement, Token, items, tokens, walk
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import Names, Vocabulary, names
from selab.policy.module import PolicyModule

_BUILTINS = frozenset(
    {
        "define",
        "undefine",
        "pushdef",
        "popdef",
        "divert",
        "undivert",
        "changequote",
        "changecom",
        "errprint",
        "format",
    }
)
"""Macros of m4 itself that a policy may call."""
CUTOFF = 0.6


@dataclass(frozen=True)
class ModuleUnderLint:
    """A module's sources, read; the interfaces that it may call, its own and those of what it requires among them; the base's names."""

    module: PolicyModule
    table: InterfaceTable
    macros: frozenset[str]
    base: Vocabulary
    words: tuple[Token, ...]
    items: tuple[Item, ...]
    said: Names
    beside: tuple[Names, ...]

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(item for item in walk(self.items) if isinstance(item, Call))

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The statements, without those of `require` blocks."""
        every = (item for item in walk(self.items) if isinstance(item, Statement))
        return tuple(one for one in every if not {"gen_require", "require"} & set(one.inside))

    @cached_property
    def words_elsewhere(self) -> frozenset[str]:
        """The words of the module's .fc and .if."""
        return frozenset(
            token.text for ending in ("fc", "if") for token in tokens(text_of(self.module, ending))
        )

    def knows(self, kind: str, name: str) -> bool:
        """Whether the base policy, or a module that this one requires, declares `name`."""
        return name in self.base[kind] or any(each.has(kind, name) for each in self.beside)

    def finding(
        self, line: int, severity: Severity, id: str, message: str, remedy: str = "", *, ending: str = "te"
    ) -> Finding:
        return Finding(self.module.te.with_suffix(f".{ending}"), line, severity, id, message, remedy)


def module_under_lint(
    module: PolicyModule,
    base: BasePolicy,
    names_of_base: Vocabulary,
    headers: InterfaceTable,
    own: Iterable[Interface],
) -> ModuleUnderLint:
    """`headers` are the interfaces of the base policy's headers, `own` those of the module's and of the modules' that it requires."""
    table = headers.with_own(own)
    words = tuple(tokens(text_of(module, "te")))
    found = items(words)
    defined = {
        call.arguments[0][0].text
        for call in _calls(found)
        if call.name == "define" and call.arguments and call.arguments[0]
    }
    macros = frozenset(interfaces(base)) | _BUILTINS | defined
    beside = tuple(names(items(tokens(text_of(each, "te"))), table) for each in module.requires)
    return ModuleUnderLint(module, table, macros, names_of_base, words, found, names(found, table), beside)


def text_of(module: PolicyModule, ending: str) -> str:
    """A source as text, empty where there is none."""
    return module.texts.get(ending, b"").decode("utf-8", "backslashreplace")


def closest(name: str, known: Iterable[str]) -> str:
    """What `name` may have meant, or nothing."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=CUTOFF)), "")


def _calls(found: Iterable[Item]) -> Iterator[Call]:
    return (item for item in walk(found) if isinstance(item, Call))
