"""What advice asks: the rules of the policy in force, the interfaces of its headers, its file contexts, its ports."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.contexts import FileSpec, specs_with
from selab.policy.interfaces import Interface, InterfaceTable, interface_table
from selab.policy.language.statements import Grant
from selab.policy.query.index import PolicyIndex


@dataclass(frozen=True)
class PolicyKnowledge:
    """The base policy with the candidates, and the interfaces by the class that they grant something of."""

    index: PolicyIndex
    table: InterfaceTable
    specs: tuple[FileSpec, ...]

    @classmethod
    def of(cls, base: BasePolicy, candidates: Sequence[CompiledModule]) -> PolicyKnowledge:
        """Raises SelabError where the interfaces are not known yet and this machine cannot expand them."""
        return cls(PolicyIndex.of(base, candidates), interface_table(base), tuple(specs_with(base)))

    @functools.cached_property
    def granting(self) -> dict[str, list[tuple[Interface, Grant]]]:
        """The unconditional allow rules of the interfaces that a module may call, by class."""
        found: dict[str, list[tuple[Interface, Grant]]] = {}
        for interface in self.table:
            if self._is_callable(interface):
                for grant in interface.grants:
                    if grant.kind == "allow" and not grant.condition:
                        found.setdefault(grant.tclass, []).append((interface, grant))
        return found

    def _is_callable(self, interface: Interface) -> bool:
        """Whether it does nothing but grant, and all that it needs is in the policy."""
        if interface.kind != "interface" or interface.broken or interface.deprecated or interface.declares:
            return False
        if any(grant.kind not in ("allow", "dontaudit", "auditallow") for grant in interface.grants):
            return False
        known = {"type": self.index.types, "attribute": self.index.attributes}
        return all(
            "$" in name or kind not in known or self.index.resolve(name) in known[kind]
            for kind, name in interface.requires
        )

    def file_type(self, path: str) -> str:
        """The type that the file contexts give to `path`, of whatever kind it is; nothing where they say nothing."""
        found = next((spec for spec in reversed(self.specs) if spec.matches(path)), None)
        return found.context.split(":")[2] if found and found.context.count(":") >= 2 else ""
