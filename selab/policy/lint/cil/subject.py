"""Prepare a policy in CIL for the checks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.language.cil_names import (
    DECLARES,
    TITLES,
    Placed,
    Reference,
    Vocabulary,
    parameters,
    placed,
    united,
    vocabulary,
)
from selab.policy.language.cil_source import Statement, excerpt, parse
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import Names
from selab.policy.lint.subject import closest
from selab.policy.module import GUEST_TEMPLATES, PolicyModule

CUTOFF = 0.7
"""How alike a name must be to be suggested (difflib)."""
MOST_COMPARED = 100
"""Names for which a similar one is looked for: each takes hundredths of a second."""
_DECLARATION = re.compile(rf"^\((?:{'|'.join((*DECLARES, 'common', 'classcommon'))}) [^\n]*$", re.MULTILINE)


def names_of_base(base: BasePolicy) -> Vocabulary:
    """Read the names that the base policy declares."""
    return vocabulary(parse("\n".join(_DECLARATION.findall(base.flat.read_text()))))


@dataclass(frozen=True)
class CilUnderLint:
    """A policy in CIL, and what it may refer to.

    module: the policy.
    policy: the base policy.
    base: names that the base policy declares.
    beside: names of each .te that it requires.
    plain: its CIL without blocks and macros, or None if it does not compile or link.
    is_required: whether another policy of the project requires it, and may use its names.
    """

    module: PolicyModule
    policy: BasePolicy
    base: Vocabulary
    beside: tuple[Names, ...] = ()
    plain: str | None = None
    is_required: bool = False

    @cached_property
    def statements(self) -> tuple[Placed, ...]:
        """Return the policy's own statements with what they contain."""
        return tuple(placed(self.module.statements))

    @cached_property
    def others(self) -> tuple[PolicyModule, ...]:
        """Return the policies in CIL and the templates that it requires."""
        return tuple(each for each in self.module.requires if each.language == "cil")

    @cached_property
    def every_statement(self) -> tuple[Placed, ...]:
        """Return its statements and those of the policies and templates that it requires."""
        return (*self.statements, *(each for other in self.others for each in placed(other.statements)))

    @cached_property
    def known(self) -> Vocabulary:
        """Return the names that the policy, what it requires and the base policy declare."""
        own = [vocabulary(each.statements) for each in (self.module, *self.others)]
        te = Vocabulary({"type": _types(self.beside), "role": _roles(self.beside)}, {})
        booleans = Vocabulary({"boolean": _booleans(self.beside)}, {})
        return united([self.base, *own, te, booleans])

    @cached_property
    def used_patterns(self) -> frozenset[str]:
        """Return the names of inherited blocks and of called macros, without the blocks that they are in."""
        using = ("blockinherit", "call")
        names = (each.statement.name for each in self.every_statement if each.statement.keyword in using)
        return frozenset(name.rpartition(".")[2] for name in names)

    @cached_property
    def macros(self) -> dict[str, list[Statement]]:
        """Return the macros by their names, without the blocks that they are in."""
        macros: defaultdict[str, list[Statement]] = defaultdict(list)
        for each in self.every_statement:
            if each.statement.keyword == "macro":
                macros[each.statement.name].append(each.statement)
        return macros

    def parameters_of(self, name: str) -> frozenset[str]:
        """Return the parameters of the macros of a name, which `in` can extend; none if it has no macro."""
        return self._parameters.get(name, frozenset())

    @cached_property
    def _parameters(self) -> dict[str, frozenset[str]]:
        return {
            name: frozenset(parameter for macro in macros for parameter in parameters(macro))
            for name, macros in self.macros.items()
        }

    @cached_property
    def _texts(self) -> dict[Path, str]:
        """Return the texts of the policy and of what it requires, which positions of statements refer to."""
        modules = (self.module, *self.others)
        return {each.path: each.texts["cil"].decode("utf-8", "backslashreplace") for each in modules}

    @cached_property
    def _compared(self) -> dict[tuple[str, str, str], str]:
        return {}

    def like(self, reference: Reference) -> str:
        """Return the most similar known name, or an empty string."""
        key = (reference.kind, reference.tclass, reference.name)
        if key not in self._compared and len(self._compared) < MOST_COMPARED:
            self._compared[key] = closest(reference.name, sorted(self.known.like(reference)), CUTOFF)
        return self._compared.get(key, "")

    def finding(
        self,
        statement: Statement,
        severity: Severity,
        id: str,
        message: str,
        remedy: str = "",
        *,
        line: int = 0,
        of: PolicyModule | None = None,
    ) -> Finding:
        """Return a finding about a statement, which the message shows, in `line` or where it begins.

        `of` is the module that it is in, if it is not the policy itself.
        """
        module = of or self.module
        if module.directory == GUEST_TEMPLATES:
            message = f"{module.title}: {message[:1].lower()}{message[1:]}"
        shown = f"{message}: {excerpt(self._texts[module.path], statement)}"
        return Finding(module.path, line or statement.line, severity, id, shown, remedy)


def title(statement: Statement) -> str:
    """Return what messages call the name that a statement declares: "type", "attribute"."""
    return TITLES.get(statement.keyword, DECLARES.get(statement.keyword, statement.keyword))


def _types(beside: Iterable[Names]) -> frozenset[str]:
    return _declared(beside, "type") | _declared(beside, "attribute")


def _roles(beside: Iterable[Names]) -> frozenset[str]:
    return _declared(beside, "role") | _declared(beside, "attribute_role")


def _booleans(beside: Iterable[Names]) -> frozenset[str]:
    return _declared(beside, "bool")


def _declared(beside: Iterable[Names], kind: str) -> frozenset[str]:
    return frozenset(
        name.name for each in beside for name in (*each.declared, *each.made) if name.kind == kind
    )
