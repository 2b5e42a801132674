"""Prepare a module for the checks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.te import Call, Item, Statement, Token, items, tokens, walk
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import Names, Vocabulary, names
from selab.policy.macros import interfaces
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
    """A module's sources, parsed, and what they may refer to.

    module: the module.
    policy: the base policy.
    table: interfaces that it may call, including its own and those of the modules that it requires.
    macros: other macros that it may call.
    base: names that the base policy declares.
    words, items: tokens and items of the .te.
    names: names in the .te.
    beside: names of each module that it requires.
    """

    module: PolicyModule
    policy: BasePolicy
    table: InterfaceTable
    macros: frozenset[str]
    base: Vocabulary
    words: tuple[Token, ...]
    items: tuple[Item, ...]
    names: Names
    beside: tuple[Names, ...]

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(item for item in walk(self.items) if isinstance(item, Call))

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Return the statements, without those of `require` blocks."""
        all_statements = (item for item in walk(self.items) if isinstance(item, Statement))
        return tuple(
            statement
            for statement in all_statements
            if not {"gen_require", "require"} & set(statement.inside)
        )

    @cached_property
    def words_elsewhere(self) -> frozenset[str]:
        """Return the words of the module's .fc and .if."""
        return frozenset(
            token.text for ending in ("fc", "if") for token in tokens(text_of(self.module, ending))
        )

    def knows(self, kind: str, name: str) -> bool:
        """Return whether the base policy, or a module that this one requires, declares `name`."""
        return name in self.base[kind] or any(each.has(kind, name) for each in self.beside)

    def line_of(self, type_name: str) -> int:
        """Return the line of the .te that declares a type or calls the template that does; 0 for none."""
        declarations = (*self.names.declared, *self.names.made)
        lines = (each.line for each in declarations if (each.kind, each.name) == ("type", type_name))
        return next(lines, 0)

    def finding(
        self, line: int, severity: Severity, id: str, message: str, remedy: str = "", *, ending: str = "te"
    ) -> Finding:
        return Finding(self.module.path.with_suffix(f".{ending}"), line, severity, id, message, remedy)


def module_under_lint(
    module: PolicyModule,
    base: BasePolicy,
    names_of_base: Vocabulary,
    headers: InterfaceTable,
    own: Iterable[Interface],
) -> ModuleUnderLint:
    """Parse a module for linting.

    `headers` are the interfaces of the base policy's headers, `own` those of the module and of the modules
    that it requires.
    """
    table = headers.with_own(own)
    words = tuple(tokens(text_of(module, "te")))
    parsed = items(words)
    defined = {
        call.arguments[0][0].text
        for call in _calls(parsed)
        if call.name == "define" and call.arguments and call.arguments[0]
    }
    macros = frozenset(interfaces(base)) | _BUILTINS | defined
    beside = tuple(names(items(tokens(text_of(each, "te"))), table) for each in module.requires)
    return ModuleUnderLint(
        module, base, table, macros, names_of_base, words, parsed, names(parsed, table), beside
    )


def text_of(module: PolicyModule, ending: str) -> str:
    """Return a source as text, or an empty string if it does not exist."""
    return module.texts.get(ending, b"").decode("utf-8", "backslashreplace")


def closest(name: str, known: Iterable[str], cutoff: float = CUTOFF) -> str:
    """Return the known name that is most similar to `name`, or an empty string.

    `cutoff`: how alike it must be (difflib).
    """
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), "")


def _calls(every: Iterable[Item]) -> Iterator[Call]:
    return (item for item in walk(every) if isinstance(item, Call))
