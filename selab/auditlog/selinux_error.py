"""Parse SELINUX_ERR: access that fails, or a label that is refused, without a denial."""

from __future__ import annotations

import re

from selab.auditlog.denials import SelinuxError
from selab.auditlog.records import Record

ERROR_TYPES = frozenset({"SELINUX_ERR", "USER_SELINUX_ERR"})
USERSPACE = "userspace"

MEANINGS = {
    "security_compute_sid": (
        "A new process or object would get a context that the policy does not allow: the role is not allowed "
        "the type, or the user is not allowed the role or level. In enforcing mode the operation fails."
    ),
    "security_bounded_transition": (
        "A process under no_new_privs, on a nosuid mount or with threads may only change to a domain that "
        "its own domain bounds. It kept the old domain, or its start failed. Newer policies allow the change "
        "with nnp_transition or nosuid_transition (class process2)."
    ),
    "security_validate_transition": (
        "A validatetrans or mlsvalidatetrans rule forbids this change of the object's context."
    ),
    "security_compute_av": (
        "The policy grants a bounded type more than the type that bounds it. The surplus permissions are "
        "removed."
    ),
    "security_sid_mls_copy": (
        "A context that combines one context's user, role and type with another's level is invalid in the "
        "policy."
    ),
    "setxattr": (
        "A process tried to set a label that the loaded policy does not know, which requires the capability "
        "mac_admin."
    ),
    "fscreate": "A process requested a label for new files that the loaded policy does not know.",
    "unrecognized netlink message": (
        "A netlink message has a type that the kernel's SELinux does not know. In enforcing mode it is "
        "refused, unless the policy has `allow` for unknown permissions."
    ),
    "invalid context": "A context is not valid in the loaded policy.",
    USERSPACE: (
        "An object manager could not check an access: the loaded policy lacks a class, a permission or a "
        "context."
    ),
}
"""The meaning of each kind.

The kernel's kinds are in security/selinux/ss/services.c (compute_sid_handle_invalid_context,
security_bounded_transition, security_validtrans_handle_fail, security_dump_masked_av, security_sid_mls_copy)
and hooks.c (selinux_inode_setxattr, selinux_lsm_setattr, selinux_nlmsg_perm); object managers' are in
libselinux's src/checkAccess.c and src/avc.c.
"""
UNKNOWN = "The kernel's SELinux reports an unknown kind of failure."

_OP = re.compile(r"\bop=([\w-]+)", re.ASCII)
_OLD_FORM = re.compile(r"(?:\b(\w+):\s+)?invalid context (\S+)", re.ASCII)
_SENTENCES = ("unrecognized netlink message",)


def read_error(record: Record) -> SelinuxError:
    """Parse a record of ERROR_TYPES, or a USER_AVC that is neither a decision nor a notice."""
    text, fields = record.text, record.fields
    kind = _kind(record)
    old = _OLD_FORM.search(text)
    return SelinuxError(
        kind=kind,
        text=text,
        scontext=fields.get("scontext", "") or fields.get("oldcontext", ""),
        tcontext=fields.get("tcontext", "") or fields.get("newcontext", ""),
        tclass=fields.get("tclass", ""),
        meaning=MEANINGS.get(kind, UNKNOWN),
        invalid_context=fields.get("invalid_context", "") or (old[2] if old else ""),
        serial=record.serial,
        time=record.time,
    )


def _kind(record: Record) -> str:
    if record.type != "SELINUX_ERR":
        return USERSPACE
    for sentence in _SENTENCES:
        if sentence in record.text:
            return sentence
    op = _OP.search(record.text)
    if op:
        return op[1]
    old = _OLD_FORM.search(record.text)
    return (old[1] or "invalid context") if old else "unknown"
