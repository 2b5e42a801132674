"""Define what advice knows about the policy in force: rules, interfaces, file contexts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from selab.advice.cil_offers import offers
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.contexts import runtime_type, specs_with
from selab.policy.fc_source import equivalences, looked_up
from selab.policy.filecon import FileSpec
from selab.policy.guest_templates import all_on_base
from selab.policy.interfaces import Interface, InterfaceTable, interface_table, module_interfaces
from selab.policy.language.cil import Rule
from selab.policy.language.statements import Grant
from selab.policy.module import all_templates
from selab.policy.pattern import MatchTime
from selab.policy.query.index import PolicyIndex
from selab.policy.survey import CONTEXTS
from selab.project import Project


@dataclass(frozen=True)
class PolicyKnowledge:
    """What advice knows about the policy.

    index: rules of the base policy with the candidates.
    table: interfaces of the headers and of the other candidates, or the macros and blocks that a candidate in
        CIL may use in their place.
    specs: file contexts of the base policy.
    equivalent: equivalences of its file contexts: paths, and the paths that are looked up in their place.
    container_type: domain that container runtimes use if they are given none, or empty.
    """

    index: PolicyIndex
    table: InterfaceTable
    specs: tuple[FileSpec, ...]
    equivalent: tuple[tuple[str, str], ...] = ()
    container_type: str = ""

    @classmethod
    def of(
        cls, base: BasePolicy, candidates: Sequence[CompiledModule], project: Project | None = None
    ) -> PolicyKnowledge:
        """Build the knowledge. The last of `candidates` is the one that the advice is for.

        `project`: has the templates that a candidate in CIL could use. Raises SelabError if the interfaces
        are unknown and cannot be expanded.
        """
        index = PolicyIndex.of(base, candidates)
        module = candidates[-1].source if candidates else None
        if module and module.language == "cil":
            table = offers(module, all_on_base(all_templates(project), base) if project else (), index)
        else:
            table = _with_those_of_others(interface_table(base), base, candidates[:-1])
        return cls(
            index,
            table,
            tuple(specs_with(base)),
            tuple(equivalences(base)),
            runtime_type(base.directory / CONTEXTS, "process"),
        )

    @functools.cached_property
    def granting(self) -> dict[str, list[tuple[Interface, Grant]]]:
        """Return the unconditional allow rules of the interfaces that a module may call, by class."""
        by_class: dict[str, list[tuple[Interface, Grant]]] = {}
        for interface in self.table:
            if self._is_callable(interface):
                for grant in interface.grants:
                    if grant.kind == "allow" and not grant.condition:
                        by_class.setdefault(grant.tclass, []).append((interface, grant))
        return by_class

    @functools.cached_property
    def rules_about(self) -> dict[str, list[Rule]]:
        """Return the unconditional allow rules whose source or target is written as an attribute, by it."""
        by_attribute: dict[str, list[Rule]] = {}
        for part in (self.index.base, *self.index.candidates):
            for rule in part.rules:
                if rule.kind == "allow" and not rule.condition:
                    ends = {self.index.resolve(rule.source), self.index.resolve(rule.target)}
                    for name in ends & self.index.attributes:
                        by_attribute.setdefault(name, []).append(rule)
        return by_attribute

    @functools.cached_property
    def rules_about_class(self) -> dict[str, list[tuple[str, Rule]]]:
        """Return the rules of `rules_about`, each with its attribute, by class."""
        by_class: dict[str, list[tuple[str, Rule]]] = {}
        for attribute, rules in self.rules_about.items():
            for rule in rules:
                by_class.setdefault(rule.tclass, []).append((attribute, rule))
        return by_class

    @functools.cached_property
    def _match_time(self) -> MatchTime:
        return MatchTime()

    def _is_callable(self, interface: Interface) -> bool:
        """Return whether the interface only grants, and the policy has everything that it requires."""
        if interface.kind == "template" or interface.broken or interface.deprecated or interface.declares:
            return False
        if any(grant.kind not in ("allow", "dontaudit", "auditallow") for grant in interface.grants):
            return False
        known = {"type": self.index.types, "attribute": self.index.attributes}
        return all(
            "$" in name or kind not in known or self.index.resolve(name) in known[kind]
            for kind, name in interface.requires
        )

    def file_type(self, path: str) -> str:
        """Return the type that the file contexts give to `path`, for any kind of file, or an empty string.

        Raises UnreadablePattern if selab cannot evaluate a pattern in the time that all advice may take.
        """
        limit, path = self._match_time, looked_up(path, self.equivalent)
        matching = next((spec for spec in reversed(self.specs) if spec.matches(path, limit)), None)
        return matching.type if matching else ""


def _with_those_of_others(
    table: InterfaceTable, base: BasePolicy, others: Sequence[CompiledModule]
) -> InterfaceTable:
    """Return `table` with the interfaces in the .if files of `others`, which a candidate may call too."""
    texts = {
        f"{each.name}.if": each.source.texts["if"].decode(errors="replace")
        for each in others
        if each.source and each.source.language == "te" and "if" in each.source.texts
    }
    return table.with_own(module_interfaces(base, texts)) if texts else table
