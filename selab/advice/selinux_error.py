"""Advise on a failure that SELinux reports without a denial."""

from __future__ import annotations

UNKNOWN = "Check whether the policy declares everything that the record names."
NO_SUCH_LABEL = "Declare the type of {invalid}, or remove the label: the loaded policy does not know it."
REMEDIES = {
    "security_compute_sid": (
        "role {role} types {type};  container_domain_template adds the rule for a domain of your own"
    ),
    "security_bounded_transition": (
        "allow {source} {target}:process2 nnp_transition;  or start the process without no-new-privileges"
    ),
    "security_validate_transition": (
        "Leave it denied: only a change of the base policy's constraints could allow it."
    ),
    "security_compute_av": "Remove the surplus rules of {source}, or grant them to the type that bounds it.",
    "setxattr": NO_SUCH_LABEL,
    "fscreate": NO_SUCH_LABEL,
    "invalid context": NO_SUCH_LABEL,
}
"""The remedies by the kinds of selab.auditlog.selinux_error."""


def remedy_of(kind: str, source: str, target: str, invalid_context: str) -> str:
    """Format the remedy with the names from the record's contexts."""
    invalid = invalid_context.strip("\"'")
    parts = invalid.split(":")
    role, name = (parts[1], parts[2]) if len(parts) > 2 else ("ROLE", "TYPE")
    known = {"invalid": invalid or "the context", "role": role, "type": name}
    return REMEDIES.get(kind, UNKNOWN).format(**known, source=_type(source), target=_type(target))


def _type(context: str) -> str:
    parts = context.split(":")
    return parts[2] if len(parts) > 2 else context
