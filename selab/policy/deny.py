"""Resolve CIL's deny rules for a compiler before 3.6, which does not know them.

A deny rule takes accesses away from all allow rules, whatever their order (secilc's CIL reference, "deny").
So each allow rule that overlaps with one is replaced by rules about the rest, with attributes for what is
left of its source or target. Their members are expressions, so they also fit the types of a candidate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from selab.policy.language.cil_names import placed
from selab.policy.language.cil_source import Statement

SELF = "self"
_RULE = r"\({} ([\w.@-]+) ([\w.@-]+) \(([\w.@-]+) \(([\w ]+)\)\)\)"
_DENY = re.compile(_RULE.format("deny"))
_ALLOW = re.compile(_RULE.format("allow"))
_ANY_DENY = re.compile(r"\(deny\s")
_OPERATORS = frozenset({"all", "and", "or", "not", "xor"})
_NAMES = re.compile(r"\((?:type|typeattribute|typealias) ([\w.@-]+)\)")

MARK = "selab_denied"
"""A type that marks, for secil2tree before 3.6, the rules that are deny rules."""
_MARKED = f"(typepermissive {MARK})"

Members = Callable[[str], frozenset[str]]
"""Returns the types that a type or an attribute stands for."""


@dataclass(frozen=True)
class _Rule:
    source: str
    target: str
    tclass: str
    permissions: frozenset[str]


def has_deny(text: str) -> bool:
    """Return whether a CIL text has a deny rule."""
    return "(deny" in text and bool(_ANY_DENY.search(text))


def is_plain(text: str) -> bool:
    """Return whether all deny rules of a CIL text are about names, so that `without_deny` resolves them."""
    return len(_ANY_DENY.findall(text)) == len(list(_rules(text, _DENY)))


def disguised(text: str, statements: Sequence[Statement]) -> str:
    """Return a CIL text with each deny rule as a neverallow rule, which has the same form, and a mark.

    secil2tree before 3.6 resolves it so, and keeps the order of statements. No line changes its number.
    """
    rules = (each.statement for each in placed(statements) if each.statement.keyword == "deny")
    parts, at = [], 0
    for rule in sorted(rules, key=lambda each: each.begin):
        parts += [text[at : rule.begin], f"{_MARKED}(neverallow"]
        at = text.index("deny", rule.begin) + len("deny")
    return "".join([*parts, text[at:]])


def revealed(statements: Iterable[str]) -> Iterator[str]:
    """Yield plain statements, with those that follow a mark as deny rules again."""
    is_marked = False
    for statement in statements:
        if statement == _MARKED:
            is_marked = True
            continue
        yield statement.replace("(neverallow", "(deny", 1) if is_marked else statement
        is_marked = False


def without_deny(texts: Sequence[str], members: Members, *, complete: bool = False) -> list[str]:
    """Return CIL texts that are linked together, with their deny rules resolved.

    The rules of a text that names no declared type stay: they are in optional blocks, which do not apply.
    `complete`: `members` knows all members, so that rules about other types than those of the deny rules
    stay as they are.
    """
    denied = [rule for text in texts for rule in _rules(text, _DENY)]
    known = {name for text in texts for name in _NAMES.findall(text)}
    classes = {rule.tclass for rule in denied}
    attributes = _Attributes()

    def replaced(match: re.Match[str]) -> str:
        rule = _rule(match)
        if rule is None or rule.tclass not in classes or not {rule.source, rule.target} <= known | {SELF}:
            return match[0]
        left = [rule]
        for each in denied:
            if not complete or _overlap(rule, each, members):
                left = [part for whole in left for part in _rest(whole, each, attributes, members)]
        return match[0] if left == [rule] else " ".join(map(_text, left))

    resolved = [_ALLOW.sub(replaced, _DENY.sub("", text)) for text in texts]
    return [*resolved[:-1], resolved[-1] + attributes.declarations]


def _overlap(rule: _Rule, denied: _Rule, members: Members) -> bool:
    """Return whether a deny rule may be about a pair of types that the rule is about."""
    if rule.tclass != denied.tclass or rule.permissions.isdisjoint(denied.permissions):
        return False
    sources = members(rule.source) & members(denied.source)
    targets = [members(target) for target in (rule.target, denied.target) if target != SELF]
    if len(targets) < 2:  # `self` is about pairs of equal types
        return bool(sources.intersection(*targets))
    return bool(sources) and not frozenset.isdisjoint(*targets)


def _rules(text: str, pattern: re.Pattern[str]) -> Iterator[_Rule]:
    return (rule for match in pattern.finditer(text) if (rule := _rule(match)))


def _rule(match: re.Match[str]) -> _Rule | None:
    permissions = frozenset(match[4].split())
    return None if permissions & _OPERATORS else _Rule(match[1], match[2], match[3], permissions)


def _text(rule: _Rule) -> str:
    return f"(allow {rule.source} {rule.target} ({rule.tclass} ({' '.join(sorted(rule.permissions))})))"


class _Attributes:
    """Attributes for expressions, each declared once."""

    def __init__(self) -> None:
        self._by_expression: dict[str, str] = {}

    def of(self, expression: str) -> str:
        return self._by_expression.setdefault(expression, f"selab_deny_{len(self._by_expression)}")

    @property
    def declarations(self) -> str:
        return "".join(
            f"(typeattribute {name})\n(typeattributeset {name} {expression})\n"
            for expression, name in self._by_expression.items()
        )


def _rest(rule: _Rule, denied: _Rule, attributes: _Attributes, members: Members) -> Iterator[_Rule]:
    """Yield the rules for what a deny rule leaves of an allow rule."""
    lost = rule.permissions & denied.permissions
    if rule.tclass != denied.tclass or not lost:
        yield rule
        return

    def part(source: str, target: str) -> _Rule:
        return _Rule(source, target, rule.tclass, lost)

    def minus(name: str, other: str) -> str:
        return attributes.of(f"(and {name} (not {other}))")

    def both(name: str, other: str) -> str:
        return attributes.of(f"(and {name} {other})")

    if remaining := rule.permissions - lost:
        yield _Rule(rule.source, rule.target, rule.tclass, remaining)
    if rule.target == SELF:
        denied_selves = denied.source if denied.target == SELF else both(denied.source, denied.target)
        yield part(minus(rule.source, denied_selves), SELF)
        return
    yield part(minus(rule.source, denied.source), rule.target)
    sources = both(rule.source, denied.source)
    if denied.target != SELF:
        yield part(sources, minus(rule.target, denied.target))
        return
    yield part(minus(sources, rule.target), rule.target)
    for name in sorted(members(rule.source) & members(denied.source) & members(rule.target)):
        yield part(name, minus(rule.target, name))
