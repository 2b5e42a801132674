"""SELINUX_ERR: access that fails, or a label that is refused, without any denial."""

from __future__ import annotations

import re

from selab.auditlog.denials import SelinuxError
from selab.auditlog.records import Record

ERROR_TYPES = frozenset({"SELINUX_ERR", "USER_SELINUX_ERR"})
USERSPACE = "userspace"

MEANINGS = {
    "security_compute_sid": (
        "A new process or object would have got a context that the policy does not allow: its role may not have the type, or its user "
        "not the role or level. In enforcing mode the operation fails."
    ),
    "security_bounded_transition": (
        "A process under no_new_privs, on a nosuid mount or with threads may not change to a domain that its own does not bound. It "
        "kept the old domain, or its start failed; newer policies allow it with nnp_transition or nosuid_transition (class process2)."
    ),
    "security_validate_transition": "A validatetrans or mlsvalidatetrans rule forbids to change this object's context like this.",
    "security_compute_av": "The policy gives a bounded type more than the type that bounds it has; the surplus permissions are taken away.",
    "security_sid_mls_copy": "A context made from one context's user, role and type and another's level is not valid in the policy.",
    "setxattr": "A file was to get a label that the loaded policy does not know; that takes the capability mac_admin.",
    "fscreate": "A process asked for new files to get a label that the loaded policy does not know.",
    "unrecognized netlink message": (
        "A netlink message has a type that the kernel's SELinux does not know; in enforcing mode it is refused unless the policy says "
        "`allow` for unknown permissions."
    ),
    "invalid context": "A context that is not valid in the loaded policy.",
    USERSPACE: "An object manager could not ask: the loaded policy lacks a class, a permission or a context that it needs.",
}
"""What each kind means. From the kernel: security/selinux/ss/services.c (compute_sid_handle_invalid_context, security_bounded_transition,
security_validtrans_handle_fail, security_dump_masked_av, security_sid_mls_copy) and hooks.c (selinux_inode_setxattr, selinux_lsm_setattr,
selinux_nlmsg_perm); for object managers libselinux's src/checkAccess.c and src/avc.c."""
UNKNOWN = "The kernel's SELinux reports a failure of a kind that selab does not know."

_OP = re.compile(r"\bop=([\w-]+)", re.ASCII)
_OLD_FORM = re.compile(r"(?:(\w+):\s+)?invalid context (\S+)", re.ASCII)
_SENTENCES = ("unrecognized netlink message",)


def read_error(record: Record) -> SelinuxError:
    """The failure that a record of ERROR_TYPES, or a USER_AVC that is neither decision nor notice, reports."""
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
