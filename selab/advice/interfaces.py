"""The interfaces that would grant what a denial asked for, and how much more each of them grants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy
from selab.policy.interfaces import Interface
from selab.policy.language.statements import Grant
from selab.policy.query.risk import LOW, Risk, risk_of

SHOWN = 3
"""Interfaces that are worth reading about for one denial."""
_PARAMETER = re.compile(r"\$[1-9]")
Asked = Mapping[tuple[str, str, str], frozenset[str]]
"""What all denials ask for: permissions by source, target and class."""
Binding = tuple[tuple[str, str], ...]
"""Parameters (`$1`) and the types that they are called with."""


def interfaces_for(need: DeniedAccess, expert: PolicyKnowledge, asked: Asked) -> list[Remedy]:
    """Calls that grant all of `need`, those that grant least beyond what is `asked` first."""
    found = [
        (
            _excess(interface, dict(binding), expert, asked),
            _breadth(interface, dict(binding), expert),
            interface.name,
            interface,
            binding,
        )
        for (interface, binding), granted in _covering(need, expert)
        if need.permissions <= granted
    ]
    best = sorted(found, key=lambda one: one[:3])[:SHOWN]
    remedies = [
        _remedy(interface, dict(binding), excess, expert, asked) for excess, *_, interface, binding in best
    ]
    return sorted(remedies, key=lambda one: (one.risk.level, one.excess))


def _covering(
    need: DeniedAccess, expert: PolicyKnowledge
) -> Iterable[tuple[tuple[Interface, Binding], frozenset[str]]]:
    """Interfaces with the parameters that make them speak of the two types, and which of the permissions each then grants."""
    found: dict[tuple[str, Binding], tuple[Interface, frozenset[str]]] = {}
    for interface, grant in expert.granting.get(need.tclass, ()):
        if grant.permissions.isdisjoint(need.permissions):
            continue
        binding = _binding(grant, need, expert)
        if binding is not None and len(binding) == interface.required:
            _, before = found.get((interface.name, binding), (interface, frozenset()))
            found[(interface.name, binding)] = interface, before | grant.permissions
    return [((interface, binding), granted) for (_, binding), (interface, granted) in found.items()]


def _binding(grant: Grant, need: DeniedAccess, expert: PolicyKnowledge) -> Binding | None:
    """The parameters with which `grant` is about the need's two types; None where it never is. The source must be a parameter."""
    if not _PARAMETER.fullmatch(grant.source) or _any_stands_for(grant.source_except, need.source, expert):
        return None
    bound = {grant.source: need.source}
    if grant.target == "self":
        return tuple(bound.items()) if need.source == need.target else None
    if _PARAMETER.fullmatch(grant.target):
        if bound.setdefault(grant.target, need.target) != need.target:
            return None
        return tuple(sorted(bound.items()))
    if not expert.index.stands_for(grant.target, need.target) or _any_stands_for(
        grant.target_except, need.target, expert
    ):
        return None
    return tuple(bound.items())


def _any_stands_for(names: Iterable[str], one: str, expert: PolicyKnowledge) -> bool:
    return any(expert.index.stands_for(name, one) for name in names)


def _all(names: Iterable[str], expert: PolicyKnowledge) -> frozenset[str]:
    return frozenset[str]().union(*(expert.index.members(name) for name in names))


def _called(interface: Interface, binding: Mapping[str, str]) -> Iterator[Grant]:
    """Its allow rules with the parameters put in."""
    for grant in interface.grants:
        if grant.kind == "allow" and not grant.condition:
            source, target = binding.get(grant.source, grant.source), binding.get(grant.target, grant.target)
            yield replace(grant, source=source, target=source if target == "self" else target)


def _excess(interface: Interface, binding: Mapping[str, str], expert: PolicyKnowledge, asked: Asked) -> int:
    """Permissions between two types that it grants, without those that are asked for or allowed already."""
    new = 0
    for grant in _called(interface, binding):
        for target in expert.index.members(grant.target) - _all(grant.target_except, expert):
            allowed = expert.index.permissions(grant.source, target, grant.tclass)
            new += len(
                grant.permissions - allowed - asked.get((grant.source, target, grant.tclass), frozenset())
            )
    for member, attribute in interface.attributes:
        if binding.get(member, member) not in expert.index.members(attribute):
            new += 1 + sum(
                len(rule.permissions) * len(expert.index.members(rule.target))
                for rule in expert.index.written_for(attribute)
            )
    return new


def _breadth(interface: Interface, binding: Mapping[str, str], expert: PolicyKnowledge) -> int:
    """How many types it speaks of: of two that add the same, the one that names what was denied is the better."""
    targets = [grant.target for grant in _called(interface, binding)]
    return sum(len(expert.index.members(target)) + (target in expert.index.attributes) for target in targets)


def _remedy(
    interface: Interface, binding: Mapping[str, str], excess: int, expert: PolicyKnowledge, asked: Asked
) -> Remedy:
    grants = list(_called(interface, binding))
    risks = (risk_of(expert.index, one.source, one.target, one.tclass, one.permissions) for one in grants)
    risk: Risk = max(risks, key=lambda one: one.level, default=LOW)
    arguments = ", ".join(name for _, name in sorted(binding.items()))
    layer = interface.file.split("/", 1)[0] if "/" in interface.file else ""
    covers = frozenset(
        key for key, permissions in asked.items() if permissions <= _granted(grants, key, expert)
    )
    return Remedy(
        Kind.INTERFACE,
        f"{interface.name}({arguments})",
        interface.summary,
        risk,
        excess,
        layer=layer,
        covers=covers,
    )


def _granted(grants: Iterable[Grant], key: tuple[str, str, str], expert: PolicyKnowledge) -> frozenset[str]:
    """What of one source, target and class the rules grant."""
    source, target, tclass = key
    found = frozenset[str]()
    for one in grants:
        on_target = expert.index.stands_for(one.target, target) and not _any_stands_for(
            one.target_except, target, expert
        )
        if one.source == source and one.tclass == tclass and on_target:
            found |= one.permissions
    return found
