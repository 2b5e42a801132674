"""Advise on denied ioctl commands: if allowxperm rules apply, `ioctl` is allowed for listed commands only."""

from __future__ import annotations

from collections.abc import Iterator

from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.auditlog.denials import IOCTL, shown_target
from selab.policy.language.commands import in_te
from selab.policy.language.statements import braced


def unlisted(need: DeniedAccess, policy: PolicyKnowledge, target: str = "") -> int:
    """Return the denied commands that allowxperm rules deny for the target of `need`, or for `target`.

    The set is empty if no such rule applies, because then `allow` alone decides.
    """
    if IOCTL not in need.permissions:
        return 0
    listed = policy.index.commands(need.source, target or need.target, need.tclass)
    return 0 if listed is None else need.commands & ~listed


def missing_permissions(need: DeniedAccess, policy: PolicyKnowledge) -> frozenset[str]:
    """Return the permissions that an `allow` rule must add: all, unless only commands are unlisted."""
    if not unlisted(need, policy):
        return need.permissions
    return need.permissions - policy.index.permissions(*need.key)


def rules(kind: str, need: DeniedAccess, permissions: frozenset[str], commands: int) -> str:
    """Format rules of a kind (`allow`, `dontaudit`) about permissions and ioctl commands, one a line."""
    return "\n".join(_rules(kind, need, permissions, commands))


def _rules(kind: str, need: DeniedAccess, permissions: frozenset[str], commands: int) -> Iterator[str]:
    access = f"{need.source} {shown_target(need.source, need.target)}:{need.tclass}"
    if permissions:
        yield f"{kind} {access} {braced(permissions)};"
    if commands:
        yield f"{kind}xperm {access} ioctl {in_te(commands)};"
