"""Check for rules that grant more than they show, and for the order that refpolicy's style guide asks for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from selab.policy.language.te import Block, Call, Item, Statement
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.subject import ModuleUnderLint

KERNEL_LAYER = "kernel/"


class Place(IntEnum):
    """The parts of a domain's section, in their order."""

    RULES = 1
    KERNEL = 2
    OTHERS = 3
    OPTIONAL = 4


_PLACE_TEXT = {
    Place.RULES: "a rule of the module's own",
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


def wildcards(module: ModuleUnderLint) -> Iterator[Finding]:
    """Report `allow` with `*` or `~`, whose effect changes with the kernel's classes."""
    for statement in module.statements:
        signs = [word.text for word in statement.words if word.text in ("*", "~")]
        if statement.kind == "allow" and signs:
            message = f"An allow rule with '{signs[0]}' grants more than it names."
            yield module.finding(
                statement.line, Severity.WARNING, "wildcard", message, "Name the permissions that are needed."
            )


def order(module: ModuleUnderLint) -> Iterator[Finding]:
    """Report the first declaration after the rules, and each domain's first item that is out of order."""
    began = False
    last: dict[str, Place] = {}
    reported: set[str] = set()
    for item in module.items:
        if isinstance(item, Statement) and item.kind in _DECLARING:
            if began and "" not in reported:
                reported.add("")
                message = "A declaration follows rules."
                yield module.finding(
                    item.line, Severity.NOTE, "order", message, "Put declarations before all rules."
                )
            continue
        place, domain = _place(module, item), _domain(item)
        if place is None or not domain:
            continue
        began = True
        if place < last.get(domain, place) and domain not in reported:
            reported.add(domain)
            message = f"{_PLACE_TEXT[place].capitalize()} for '{domain}' follows {_PLACE_TEXT[last[domain]]}."
            remedy = (
                "Use this order: the module's own rules, interfaces of the kernel layer, "
                "other interfaces, optional blocks."
            )
            yield module.finding(item.line, Severity.NOTE, "order", message, remedy)
        last[domain] = max(place, last.get(domain, place))


def _place(module: ModuleUnderLint, item: Item) -> Place | None:
    """Return where an item belongs, or None for what may stand anywhere.

    A call that gives a type its attributes, or that is about more than the domain, may stand anywhere: a file
    transition, for example, stands beside the rules of its type.
    """
    if isinstance(item, Statement):
        return Place.RULES if item.kind in _RULES else None
    if isinstance(item, Block):
        return Place.OPTIONAL if item.name == "optional_policy" else None
    interface = module.table.get(item.name)
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
    """Return the domain that an item is about.

    For a rule it is the source, for a call the first argument, for a block that of its first item.
    """
    if isinstance(item, Statement):
        return item.words[1].text if len(item.words) > 1 else ""
    if isinstance(item, Call):
        return item.arguments[0][0].text if item.arguments and item.arguments[0] else ""
    return next(
        (
            _domain(inner)
            for body in item.bodies
            for inner in body
            if not isinstance(inner, Block) or inner.name != "gen_require"
        ),
        "",
    )
