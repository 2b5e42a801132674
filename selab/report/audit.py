"""What a policy adds, on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from selab.analysis.audit import PolicyAudit
from selab.policy.query.reach import Access, Addition
from selab.report.advice import COLOURS
from selab.report.markup import safe


def show_audit(audit: PolicyAudit, out: Console, against: str = "") -> None:
    """Print the new types, the added accesses (the most dangerous first), and what each domain can reach.

    What a container template grants comes after what the author added, with a title.
    """
    out.print(f"[bold]{safe(audit.policy)}[/bold] declares {safe(', '.join(audit.types) or 'no type')}")
    _show_additions(audit.of_author, out, against)
    if audit.of_template:
        out.print(
            "[bold]By the container template[/bold], as for every domain that it declares:", soft_wrap=True
        )
        _show_additions(audit.of_template, out, against)
    for access in audit.removed:
        out.print(f"  [dim]gone  [/dim] - {safe(str(access))}", soft_wrap=True)
    for access in audit.limited:
        what = "the base policy allows others as well" if access.commands else "no command remains"
        out.print(f"  [dim]limits[/dim]   {safe(str(access))}  [dim]{what}[/dim]", soft_wrap=True)
    for reach in audit.reaches:
        attributes = safe(", ".join(reach.attributes))
        title = f"[bold]{safe(reach.domain)}[/bold] by its own rules, and by the attributes {attributes}:"
        out.print(title, soft_wrap=True)
        for kind, count in reach.inherited.items():
            own = ", ".join(reach.own.get(kind, ())) or "nothing of its own"
            off = reach.switched_off[kind]
            more = f", {off} more under booleans that are off" if off else ""
            line = f"  {kind}: {safe(own)} [dim](and {count} types by its attributes{more})[/dim]"
            out.print(line, soft_wrap=True)


def _show_additions(additions: Iterable[Addition], out: Console, against: str) -> None:
    for addition in additions:
        risk = addition.risk
        sign = "+" if against else ""
        line = f"  [{COLOURS[risk.level]}]{str(risk.level):6}[/] {sign} {safe(str(addition.access))}"
        out.print(line, soft_wrap=True)
        if risk.reason:
            out.print(f"           [dim]{safe(risk.reason)}[/dim]", soft_wrap=True)


def document(audit: PolicyAudit) -> dict[str, object]:
    """The audit as JSON."""
    rows = [
        {
            **_access(addition.access),
            "risk": str(addition.risk.level),
            "reason": addition.risk.reason,
            "by_template": addition.by_template,
        }
        for addition in audit.additions
    ]
    return {
        "schema": 1,
        "policy": audit.policy,
        "types": list(audit.types),
        "additions": rows,
        "removed": [_access(access) for access in audit.removed],
        "limited": [{**_access(access), "commands": access.commands} for access in audit.limited],
        "reach": {
            reach.domain: {
                "own": dict(reach.own),
                "inherited": dict(reach.inherited),
                "switched_off": dict(reach.switched_off),
            }
            for reach in audit.reaches
        },
    }


def _access(access: Access) -> dict[str, object]:
    return {
        "source": access.source,
        "target": access.target,
        "class": access.tclass,
        "permissions": list(access.permissions),
        "condition": access.condition,
        **({"off": True} if access.off else {}),
        **({"commands": access.commands} if access.commands else {}),
    }
