"""Find the interfaces that would grant what was denied, and how much more each of them grants.

For a candidate in CIL these are the macros and blocks of selab.advice.cil_offers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy, brought
from selab.auditlog.denials import IOCTL, shown_target
from selab.policy.interfaces import Interface
from selab.policy.language.statements import Grant, braced
from selab.policy.query.reach import FILES, WRITES
from selab.policy.query.risk import LOW, Risk, risk_of

SHOWN = 3
"""Interfaces to show for one denial."""
_PARAMETER = re.compile(r"\$[1-9]")
Requested = Mapping[tuple[str, str, str], frozenset[str]]
"""What all denials together request: permissions by source, target and class."""
Binding = tuple[tuple[str, str], ...]
"""Parameters (`$1`) and the types that replace them."""


def interfaces_for(
    need: DeniedAccess, policy: PolicyKnowledge, requested: Requested, expected: Requested | None = None
) -> list[Remedy]:
    """Return calls that grant all of `need`, those with the least excess over `requested` first.

    Calls that modify files although no request is about that come later, and calls that are about another
    domain come last. A call that grants an access of `expected`, whose denial the scenario expects, is left
    out.
    """
    candidates = [
        (
            _is_foreign(interface, dict(binding), policy),
            _modifies(interface, dict(binding), policy, requested),
            _excess(interface, dict(binding), policy, requested),
            _breadth(interface, dict(binding), policy),
            interface.name,
            interface,
            binding,
        )
        for (interface, binding), granted in _covering(need, policy)
        if need.permissions <= granted and not _grants_any(interface, dict(binding), policy, expected or {})
    ]
    best = sorted(candidates, key=lambda candidate: candidate[:5])[:SHOWN]
    remedies = [
        _remedy(interface, dict(binding), excess, policy, requested)
        for *_, excess, _, _, interface, binding in best
    ]
    return sorted(
        remedies, key=lambda remedy: (remedy.foreign, remedy.risk.level, remedy.modifies, remedy.excess)
    )


def _covering(
    need: DeniedAccess, policy: PolicyKnowledge
) -> Iterable[tuple[tuple[Interface, Binding], frozenset[str]]]:
    """Return interfaces with parameters that match the two types, and the permissions that each grants."""
    by_call: dict[tuple[str, Binding], tuple[Interface, frozenset[str]]] = {}
    for interface, grant in policy.granting.get(need.tclass, ()):
        if grant.permissions.isdisjoint(need.permissions):
            continue
        if interface.kind == Kind.BLOCK and interface.parameters != (need.source,):
            continue
        binding = _binding(grant, need, policy)
        if binding is not None and len(binding) == interface.required:
            _, before = by_call.get((interface.name, binding), (interface, frozenset()))
            by_call[(interface.name, binding)] = interface, before | grant.permissions
    return [((interface, binding), granted) for (_, binding), (interface, granted) in by_call.items()]


def _binding(grant: Grant, need: DeniedAccess, policy: PolicyKnowledge) -> Binding | None:
    """Return the parameters with which `grant` applies to the two types; None if it never does.

    The source must be a parameter.
    """
    if not _PARAMETER.fullmatch(grant.source) or _any_stands_for(grant.source_except, need.source, policy):
        return None
    bound = {grant.source: need.source}
    if grant.target == "self":
        return tuple(bound.items()) if need.source == need.target else None
    if _PARAMETER.fullmatch(grant.target):
        if bound.setdefault(grant.target, need.target) != need.target:
            return None
        return tuple(sorted(bound.items()))
    if not policy.index.stands_for(grant.target, need.target) or _any_stands_for(
        grant.target_except, need.target, policy
    ):
        return None
    return tuple(bound.items())


def _any_stands_for(names: Iterable[str], type_: str, policy: PolicyKnowledge) -> bool:
    return any(policy.index.stands_for(name, type_) for name in names)


def _all(names: Iterable[str], policy: PolicyKnowledge) -> frozenset[str]:
    return frozenset[str]().union(*(policy.index.members(name) for name in names))


def _called(interface: Interface, binding: Mapping[str, str]) -> Iterator[Grant]:
    """Yield the interface's allow rules with the parameters replaced."""
    for grant in interface.grants:
        if grant.kind == "allow" and not grant.condition:
            source, target = binding.get(grant.source, grant.source), binding.get(grant.target, grant.target)
            yield replace(grant, source=source, target=source if target == "self" else target)


def _excess(
    interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge, requested: Requested
) -> int:
    """Count the permissions that it grants beyond those that are requested or already allowed."""
    new = sum(len(left) for *_, left in _unrequested(_called(interface, binding), policy, requested))
    for member, attribute in interface.attributes:
        if binding.get(member, member) not in policy.index.members(attribute):
            new += 1 + sum(
                len(rule.permissions) * len(policy.index.members(rule.target))
                for rule in policy.index.written_for(attribute)
            )
    return new


def _modifies(
    interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge, requested: Requested
) -> bool:
    """Return whether a call lets a domain modify files of a type, and no request is about modifying these."""
    modified = {
        (source, target, tclass)
        for source, target, tclass, left in _unrequested(_called(interface, binding), policy, requested)
        if tclass in FILES and left & WRITES
    }
    return any(requested.get(key, frozenset()).isdisjoint(WRITES) for key in modified)


def _unrequested(
    grants: Iterable[Grant], policy: PolicyKnowledge, requested: Requested
) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Yield what the rules grant beyond the request and what is allowed: types, class and permissions."""
    for grant in grants:
        for target in policy.index.members(grant.target) - _all(grant.target_except, policy):
            key = (grant.source, target, grant.tclass)
            if left := grant.permissions - policy.index.permissions(*key) - requested.get(key, frozenset()):
                yield (*key, left)


def _grants_any(
    interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge, accesses: Requested
) -> bool:
    """Return whether a call grants an access of `accesses`, also by giving a type an attribute."""
    grants = list(_called(interface, binding))
    for key, permissions in accesses.items():
        source, target, tclass = key
        if permissions & _granted(grants, key, policy):
            return True
        for member, attribute in interface.attributes:
            if binding.get(member, member) == source and any(
                rule.tclass == tclass
                and permissions & rule.permissions
                and policy.index.stands_for(source if rule.target == "self" else rule.target, target)
                for rule in policy.index.written_for(attribute)
            ):
                return True
    return False


def _breadth(interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge) -> int:
    """Count the types that it affects: of two with equal excess, the more specific interface is better."""
    targets = [grant.target for grant in _called(interface, binding)]
    return sum(len(policy.index.members(target)) + (target in policy.index.attributes) for target in targets)


def _remedy(
    interface: Interface,
    binding: Mapping[str, str],
    excess: int,
    policy: PolicyKnowledge,
    requested: Requested,
) -> Remedy:
    # Of two risks of one level, that of the domain itself is shown.
    grants = sorted(_called(interface, binding), key=lambda grant: grant.source not in binding.values())
    risks = (
        risk_of(policy.index, grant.source, grant.target, grant.tclass, grant.permissions) for grant in grants
    )
    risk: Risk = max(risks, key=lambda grant: grant.level, default=LOW)
    layer = interface.file.split("/", 1)[0] if "/" in interface.file else ""
    covers = frozenset(
        key
        for key, permissions in requested.items()
        if permissions <= _granted(grants, key, policy)
        # An interface does not list the commands that allowxperm rules may lack.
        and not (IOCTL in permissions and policy.index.extended(*key))
    )
    kind = Kind(interface.kind)
    return Remedy(
        kind,
        _text(kind, interface.name, [name for _, name in sorted(binding.items())]),
        _brought(interface, binding, policy, requested) if kind is Kind.BLOCK else interface.summary,
        risk,
        excess,
        layer=layer,
        covers=covers,
        foreign=_is_foreign(interface, binding, policy),
        modifies=_modifies(interface, binding, policy, requested),
    )


def _text(kind: Kind, name: str, arguments: Sequence[str]) -> str:
    match kind:
        case Kind.MACRO:
            return f"({name} ({' '.join(arguments)}))"
        case Kind.BLOCK:
            return f"({name})"
        case _:
            return f"{name}({', '.join(arguments)})"


def _brought(
    interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge, requested: Requested
) -> str:
    """Format what else a block grants: first to the domain itself, and the most dangerous rules first."""
    return brought(
        (
            source not in binding.values(),
            -risk_of(policy.index, source, target, tclass, left).level,
            f"{source} {shown_target(source, target)}:{tclass} {braced(left)}",
        )
        for source, target, tclass, left in _unrequested(_called(interface, binding), policy, requested)
    )


def _is_foreign(interface: Interface, binding: Mapping[str, str], policy: PolicyKnowledge) -> bool:
    """Return whether a call that names both types of a denial is about something else than these types.

    `rsync_entry_spec_domtrans(A, B)` lets A start B, but by rsync's program. `domain_entry_file(A, B)` makes
    B a program, which gives an attribute to a type of another module.
    """
    types = set(binding.values())
    grants = list(_called(interface, binding))
    named = {policy.index.resolve(grant.target) for grant in grants}
    joining = {binding.get(member, member) for member, _ in interface.attributes}
    of_others = joining & types - policy.index.own_types - {grant.source for grant in grants}
    return len(types) > 1 and bool(named & policy.index.types - types or of_others)


def _granted(grants: Iterable[Grant], key: tuple[str, str, str], policy: PolicyKnowledge) -> frozenset[str]:
    """Return what the rules grant of one source, target and class."""
    source, target, tclass = key
    granted = frozenset[str]()
    for grant in grants:
        on_target = policy.index.stands_for(grant.target, target) and not _any_stands_for(
            grant.target_except, target, policy
        )
        if grant.source == source and grant.tclass == tclass and on_target:
            granted |= grant.permissions
    return granted
