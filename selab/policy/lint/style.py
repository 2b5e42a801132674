"""Rules that are wider than they look, and the order of a .te that refpolicy's style asks for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from selab.policy.language.te import Block, Call, Item, Statement
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.subject import ModuleUnderLint

KERNEL_LAYER = "kernel/"


class Place(IntEnum):
    """The parts of a domain's section in their order."""

    RULES = 1
    KERNEL = 2
    OTHERS = 3
    OPTIONAL = 4


_IN_WORDS = {
    Place.RULES: "an own rule",
    Place.KERNEL: "a call of the kernel layer",
    Place.OTHERS: "a call of another layer",
    Place.OPTIONAL: "an optional block",
}
_DECLARING = ("type", "attribute", "attribute_role", "bool", "typealias")
_RULES = (
    "allow",
    "dontaudit",
    "auditallow",
    "neverallow",
    "type_transition",
    "type_change",
    "type_member",
    "range_transition",
)


def wildcards(view: ModuleUnderLint) -> Iterator[Finding]:
    """`allow` with `*` or `~`: what it grants changes with the kernel's classes."""
    for statement in view.statements:
        signs = [word.text for word in statement.words if word.text in ("*", "~")]
        if statement.kind == "allow" and signs:
            message = f"An allow rule with '{signs[0]}' grants more than it names."
            yield view.finding(statement.line, Severity.WARNING, "wildcard", message, "Name what is needed.")


def order(view: ModuleUnderLint) -> Iterator[Finding]:
    """The first declaration behind the rules, and for each domain the first item that stands behind what it should stand before."""
    began = False
    last: dict[str, Place] = {}
    told: set[str] = set()
    for item in view.items:
        if isinstance(item, Statement) and item.kind in _DECLARING:
            if began and "" not in told:
                told.add("")
                message = "A declaration stands behind rules."
                yield view.finding(
                    item.line, Severity.NOTE, "order", message, "Put declarations before all rules."
                )
            continue
        place, domain = _place(view, item), _domain(item)
        if place is None or not domain:
            continue
        began = True
        if place < last.get(domain, place) and domain not in told:
            told.add(domain)
            message = (
                f"{_IN_WORDS[place].capitalize()} for '{domain}' stands behind {_IN_WORDS[last[domain]]}."
            )
            remedy = (
                "The order is: own rules, interfaces of the kernel layer, other interfaces, optional blocks."
            )
            yield view.finding(item.line, Severity.NOTE, "order", message, remedy)
        last[domain] = max(place, last.get(domain, place))


def _place(view: ModuleUnderLint, item: Item) -> Place | None:
    """Where an item belongs; none for what may stand anywhere: a call that says what a type is, or that is about more than the domain, as
    a file transition is, which stands beside the rules of its type."""
    if isinstance(item, Statement):
        return Place.RULES if item.kind in _RULES else None
    if isinstance(item, Block):
        return Place.OPTIONAL if item.name == "optional_policy" else None
    interface = view.table.get(item.name)
    if interface is None:
        return Place.RULES if item.name.endswith("_pattern") else None
    if (
        len(item.arguments) > 1
        or interface.kind == "template"
        or interface.attributes
        or "/" not in interface.file
    ):
        return None
    return Place.KERNEL if interface.file.startswith(KERNEL_LAYER) else Place.OTHERS


def _domain(item: Item) -> str:
    """Whom it is about: the source of a rule, the first argument of a call, for a block that of its first item."""
    if isinstance(item, Statement):
        return item.words[1].text if len(item.words) > 1 else ""
    if isinstance(item, Call):
        return item.arguments[0][0].text if item.arguments and item.arguments[0] else ""
    return next(
        (
            _domain(one)
            for body in item.bodies
            for one in body
            if not isinstance(one, Block) or one.name != "gen_require"
        ),
        "",
    )
