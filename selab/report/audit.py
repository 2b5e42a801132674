"""What a policy adds, as its reviewer reads it."""

from __future__ import annotations

from rich.console import Console

from selab.analysis.audit import PolicyAudit
from selab.policy.query.reach import Access
from selab.report.advice import COLOURS
from selab.report.markup import safe


def show_audit(found: PolicyAudit, out: Console, against: str = "") -> None:
    """New types, the accesses that are added (the most dangerous first), what each domain can reach."""
    out.print(f"[bold]{safe(found.policy)}[/bold] declares {safe(', '.join(found.types) or 'no type')}")
    for one in found.additions:
        colour = COLOURS[one.risk.level]
        out.print(
            f"  [{colour}]{str(one.risk.level):6}[/] {'+' if against else ''} {safe(str(one.access))}",
            soft_wrap=True,
        )
        if one.risk.reason:
            out.print(f"           [dim]{safe(one.risk.reason)}[/dim]", soft_wrap=True)
    for access in found.removed:
        out.print(f"  [dim]gone  [/dim] - {safe(str(access))}", soft_wrap=True)
    for reach in found.reaches:
        out.print(
            f"[bold]{safe(reach.domain)}[/bold] by its own rules, and by the attributes {safe(', '.join(reach.attributes))}:",
            soft_wrap=True,
        )
        for said, count in reach.inherited.items():
            own = ", ".join(reach.own.get(said, ())) or "nothing of its own"
            out.print(
                f"  {said}: {safe(own)} [dim](and {count} types by its attributes)[/dim]", soft_wrap=True
            )


def document(found: PolicyAudit) -> dict[str, object]:
    """The same as JSON."""
    rows = [
        {**_access(one.access), "risk": str(one.risk.level), "reason": one.risk.reason}
        for one in found.additions
    ]
    return {
        "schema": 1,
        "policy": found.policy,
        "types": list(found.types),
        "additions": rows,
        "removed": [_access(one) for one in found.removed],
        "reach": {
            one.domain: {"own": dict(one.own), "inherited": dict(one.inherited)} for one in found.reaches
        },
    }


def _access(access: Access) -> dict[str, object]:
    return {
        "source": access.source,
        "target": access.target,
        "class": access.tclass,
        "permissions": list(access.permissions),
        "condition": access.condition,
    }
