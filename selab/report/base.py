"""Base policies on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from selab.policy.base import BasePolicy
from selab.policy.known_bases import SHOWN, modules_of, name_of
from selab.policy.portable import digest_of
from selab.policy.portable_file import VERSION
from selab.report.markup import safe

SCHEMA = 1


def bases_table(bases: Sequence[BasePolicy]) -> Table:
    """Return the base policies, one per row."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("name", "fingerprint", "distribution", "policy", "modules", "from"):
        table.add_column(heading, justify="right" if heading == "modules" else "left")
    for base in bases:
        cells = (
            name_of(base),
            base.facts.fingerprint[:SHOWN],
            base.facts.system or "unknown",
            base.facts.selinux_type,
            str(len(modules_of(base))),
            _source(base),
        )
        table.add_row(*map(safe, cells))
    return table


def show_base(base: BasePolicy, out: Console) -> None:
    """Print what is known of a base policy, and the names of its modules."""
    facts, modules = base.facts, modules_of(base)
    rows = {
        "name": name_of(base),
        "fingerprint": facts.fingerprint,
        "distribution": facts.system or "unknown",
        "policy": f"{facts.selinux_type}, {'with' if facts.mls else 'without'} levels",
        "policy version": str(facts.policyvers),
        "deny rules": "yes" if base.denies else "no",
        "from": _source(base),
        "format": VERSION,
        "digest": digest_of(base),
        "directory": str(base.directory),
        f"{len(modules)} modules": " ".join(modules),
    }
    width = max(map(len, rows))
    for key, value in rows.items():
        out.print(f"[bold]{key:{width}}[/bold]  {safe(value)}", soft_wrap=True)


def list_document(bases: Sequence[BasePolicy]) -> dict[str, object]:
    """Return the base policies as JSON."""
    return {"schema": SCHEMA, "bases": [_row(base) for base in bases]}


def document(base: BasePolicy) -> dict[str, object]:
    """Return a base policy as JSON."""
    return {
        "schema": SCHEMA,
        **_row(base),
        "mls": base.facts.mls,
        "deny_rules": base.denies,
        "format": VERSION,
        "digest": digest_of(base),
        "module_names": modules_of(base),
    }


def _row(base: BasePolicy) -> dict[str, object]:
    return {
        "name": name_of(base),
        "fingerprint": base.facts.fingerprint,
        "distribution": base.facts.system,
        "policy": base.facts.selinux_type,
        "policy_version": base.facts.policyvers,
        "modules": len(modules_of(base)),
        "imported": bool(base.imported),
        "directory": str(base.directory),
    }


def _source(base: BasePolicy) -> str:
    return "a file" if base.imported else "a guest"
