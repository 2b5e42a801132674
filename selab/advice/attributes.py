"""Find the attributes that would permit what was denied, and what else a type gets with each of them."""

from __future__ import annotations

from collections.abc import Iterator

from selab.advice.denied_access import DeniedAccess
from selab.advice.interfaces import Requested
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind, Remedy, brought
from selab.policy.language.cil import Rule
from selab.policy.language.statements import braced
from selab.policy.query.index import EVERYTHING, SELF
from selab.policy.query.reach import GENERATED
from selab.policy.query.risk import LOW, Risk, risk_of

SHOWN = 2
"""Attributes to show for one denial."""
_ENTERED = frozenset({"transition", "dyntransition"})


def attributes_for(
    need: DeniedAccess, policy: PolicyKnowledge, requested: Requested, expected: Requested
) -> list[Remedy]:
    """Return the attributes of the candidates' own target type whose rules grant all of `need`.

    A policy mostly grants by an attribute what others may do with a domain, such as starting it. What the
    candidate itself lacks, interfaces and rules grant more narrowly.

    Those of the domain that container runtimes use by default come first, then those with the least risk, and
    then those with the fewest other permissions. An attribute that grants an access of `expected`, whose
    denial the scenario expects, is left out.
    """
    containers = policy.index.attributes_of(policy.container_type)
    remedies = [
        (attribute not in containers, _remedy(need.target, attribute, need, policy, requested))
        for attribute in _covering(need, policy)
        if not _grants_any(need.target, attribute, policy, expected)
    ]
    remedies.sort(key=lambda each: (each[0], each[1].risk.level, each[1].excess))
    return [remedy for _, remedy in remedies[:SHOWN]]


def _covering(need: DeniedAccess, policy: PolicyKnowledge) -> Iterator[str]:
    """Yield the attributes whose rules grant all of `need`, if its target is an own type of a candidate."""
    index, member = policy.index, need.target
    if member not in index.own_types:
        return
    source, target = _names(need.source, policy), _names(need.target, policy)
    granted: dict[str, frozenset[str]] = {}
    for attribute, rule in policy.rules_about_class.get(need.tclass, ()):
        if rule.permissions.isdisjoint(need.permissions) or attribute in index.attributes_of(member):
            continue
        by, on = _ends(rule, member, attribute, policy)
        if by in source and on in target:
            granted[attribute] = granted.get(attribute, frozenset()) | rule.permissions
    for attribute, permissions in sorted(granted.items()):
        left = permissions - _denied(need, attribute, policy)
        if need.permissions <= left and GENERATED not in attribute:
            yield attribute


def _denied(need: DeniedAccess, attribute: str, policy: PolicyKnowledge) -> frozenset[str]:
    """Return what deny rules take away if the target of `need` becomes a member of `attribute`."""
    joined = frozenset({attribute})
    target = _names(need.target, policy) | joined
    source = _names(need.source, policy) | (joined if need.source == need.target else frozenset())
    return frozenset[str]().union(
        *(
            rule.permissions
            for rule in policy.index.deny_rules.get(need.tclass, ())
            if policy.index.resolve(rule.source) in source
            and (
                need.source == need.target
                if rule.target == SELF
                else policy.index.resolve(rule.target) in target
            )
        )
    )


def _names(name: str, policy: PolicyKnowledge) -> frozenset[str]:
    """Return the names by which a rule may be about a type."""
    return frozenset({policy.index.resolve(name), EVERYTHING}) | policy.index.attributes_of(name)


def _ends(rule: Rule, member: str, attribute: str, policy: PolicyKnowledge) -> tuple[str, str]:
    """Return the source and the target of a rule about an attribute, as they are for a new member."""
    source, target = policy.index.resolve(rule.source), policy.index.resolve(rule.target)
    by = member if source == attribute else source
    return by, by if target == SELF else member if target == attribute else target


def _applies(source: str, target: str, need: DeniedAccess, policy: PolicyKnowledge) -> bool:
    return policy.index.stands_for(source, need.source) and policy.index.stands_for(target, need.target)


def _brought(member: str, attribute: str, policy: PolicyKnowledge) -> Iterator[tuple[str, str, Rule]]:
    """Yield the unconditional rules about an attribute, each with its source and target for a new member."""
    for rule in policy.rules_about.get(attribute, ()):
        yield (*_ends(rule, member, attribute, policy), rule)


def _grants_any(member: str, attribute: str, policy: PolicyKnowledge, accesses: Requested) -> bool:
    return any(
        rule.tclass == tclass
        and permissions & rule.permissions
        and policy.index.stands_for(brought_source, source)
        and policy.index.stands_for(brought_target, target)
        for brought_source, brought_target, rule in _brought(member, attribute, policy)
        for (source, target, tclass), permissions in accesses.items()
    )


def _remedy(
    member: str, attribute: str, need: DeniedAccess, policy: PolicyKnowledge, requested: Requested
) -> Remedy:
    risks: list[Risk] = []
    others: list[tuple[bool, int, str]] = []
    excess = 0
    for source, target, rule in _brought(member, attribute, policy):
        own = source == member
        risk = risk_of(policy.index, member, target, rule.tclass, rule.permissions) if own else LOW
        risks.append(risk)
        if rule.tclass == need.tclass and _applies(source, target, need, policy):
            continue
        excess += len(rule.permissions - requested.get((source, target, rule.tclass), frozenset()))
        on = SELF if source == target else target
        others.append((not own, -risk.level, f"{source} {on}:{rule.tclass} {braced(rule.permissions)}"))
    worst = max(risks, key=lambda each: each.level, default=LOW)
    return Remedy(
        Kind.ATTRIBUTE,
        f"typeattribute {member} {attribute};",
        brought(others),
        worst,
        excess,
        requires=(("attribute", attribute),),
        meant=member == need.target and need.tclass == "process" and bool(need.permissions & _ENTERED),
    )
