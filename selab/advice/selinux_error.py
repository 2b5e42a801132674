"""What can be done about a failure that SELinux reports without a denial."""

from __future__ import annotations

UNKNOWN = "Look whether the policy has everything that the record names."
NO_SUCH_LABEL = (
    "Declare the type of {invalid}, or take the label away: it names what the loaded policy does not have."
)
REMEDIES = {
    "security_compute_sid": "role {role} types {type};  container_domain_template does it for a domain of its own",
    "security_bounded_transition": "allow {source} {target}:process2 nnp_transition;  or start it without no-new-privileges",
    "security_validate_transition": "Leave it denied: only a constraint of the base policy could be changed.",
    "security_compute_av": "Take the surplus rules from {source}, or give them to the type that bounds it.",
    "setxattr": NO_SUCH_LABEL,
    "fscreate": NO_SUCH_LABEL,
    "invalid context": NO_SUCH_LABEL,
}
"""By the kind of selab.auditlog.selinux_error."""


def remedy_of(kind: str, source: str, target: str, invalid_context: str) -> str:
    """The remedy in words, with the names of the record's contexts in it."""
    invalid = invalid_context.strip("\"'")
    parts = invalid.split(":")
    role, name = (parts[1], parts[2]) if len(parts) > 2 else ("ROLE", "TYPE")
    known = {"invalid": invalid or "the context", "role": role, "type": name}
    return REMEDIES.get(kind, UNKNOWN).format(**known, source=_type(source), target=_type(target))


def _type(context: str) -> str:
    parts = context.split(":")
    return parts[2] if len(parts) > 2 else context
