"""Compute what a linked policy decides, without a kernel: libsepol makes the decision in this process.

audit2why uses the same function (libsepol, services.c: sepol_compute_av_reason). It evaluates type
enforcement, constraints (including MCS), roles and type bounds, with the booleans as they are in the policy
file. It ignores extended rules, which selab evaluates itself (selab.policy.query.extended). It does not know
file labels, no-new-privileges, the process's capabilities, or whether the access is attempted at all. Only a
run proves a policy.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from selab.errors import SelabError
from selab.policy.language.commands import as_hex, in_te, includes
from selab.policy.language.declarations import NLMSG
from selab.policy.query.extended import extended_rules
from selab.policy.query.index import PolicyIndex, union

TE, CONSTRAINT, RBAC, BOUNDS = 1, 2, 4, 8
"""These bits say why an access is denied (SEPOL_COMPUTEAV_*, sepol/policydb/services.h)."""


class Cause(StrEnum):
    """What blocks an access.

    `COMMAND` means that rules allow `ioctl`, but extended rules apply and no allowxperm lists the command.
    `UNKNOWN` means that the policy lacks the type, the class or the permission, so libsepol cannot decide, or
    that extended rules depend on what selab does not evaluate.
    """

    NONE = "allowed"
    RULE = "missing rule"
    COMMAND = "unlisted ioctl command"
    BOOLEAN = "boolean"
    MCS = "MCS categories"
    CONSTRAINT = "constraint"
    ROLE = "role"
    BOUNDS = "type bounds"
    UNKNOWN = "not decidable"


@dataclass(frozen=True)
class Access:
    """An access to decide.

    source, target: complete contexts.
    tclass: object class.
    permission: one permission.
    command: the command of an ioctl, if the record has it.
    """

    source: str
    target: str
    tclass: str
    permission: str
    command: int | None = None


@dataclass(frozen=True)
class Decision:
    """The decision about an access.

    access: the access that was decided.
    cause: what blocks it.
    detail: the booleans that would permit it (`shiny on`), what the policy does not know, or the listed
        commands.
    by_command: whether extended rules apply, so that the policy distinguishes the commands.
    """

    access: Access
    cause: Cause
    detail: str = ""
    by_command: bool = False

    @property
    def allowed(self) -> bool:
        return self.cause is Cause.NONE


class _AvDecision(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32) for name in ("allowed", "decided", "auditallow", "auditdeny", "seqno")
    ]


@functools.cache
def libsepol() -> ctypes.CDLL:
    """Load libsepol. Raises SelabError if it lacks the functions that only newer versions export."""
    name = ctypes.util.find_library("sepol") or "libsepol.so.2"
    try:
        library = ctypes.CDLL(name)
        for function in (
            "sepol_set_policydb_from_file",
            "sepol_context_to_sid",
            "sepol_compute_av_reason",
            "sepol_string_to_av_perm",
        ):
            getattr(library, function)
        # libsepol would print lookup failures to the terminal; the caller gets them as results.
        library.sepol_debug(0)
    except (OSError, AttributeError) as error:
        raise SelabError(
            "This machine cannot decide accesses.", str(error), "Install libsepol 3.4 or newer."
        ) from error
    return library


def can_decide() -> bool:
    """Return whether this machine has a usable libsepol."""
    try:
        libsepol()
    except SelabError:
        return False
    return True


class Decider:
    """Decides accesses for one kernel policy.

    libsepol keeps one policy per process: only the Decider created last may be used.
    """

    _current: Decider | None = None

    def __init__(self, policy: Path) -> None:
        self._library = libsepol()
        self._policy = policy
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        libc.fclose.argtypes = [ctypes.c_void_p]
        stream = libc.fopen(str(policy).encode(), b"r")
        if not stream:
            raise SelabError(
                "The linked policy cannot be read.",
                str(policy),
                "Check that the file exists and is readable.",
            )
        try:
            if self._library.sepol_set_policydb_from_file(ctypes.c_void_p(stream)):
                raise SelabError(
                    "The linked policy cannot be read.",
                    str(policy),
                    "Its version may be newer than this machine's libsepol supports.",
                )
        finally:
            libc.fclose(stream)
        self._sids: dict[str, int] = {}
        self._permissions: dict[tuple[str, str], tuple[int, int] | str] = {}
        Decider._current = self

    def decide(self, accesses: Sequence[Access]) -> list[Decision]:
        """Decide each access, in order."""
        if Decider._current is not self:
            raise SelabError(
                "This process has loaded another policy since.", hint="Use the Decider that was created last."
            )
        return [self._decide(access) for access in accesses]

    def _decide(self, access: Access) -> Decision:
        source, target = self._sid(access.source), self._sid(access.target)
        for sid, context in ((source, access.source), (target, access.target)):
            if not sid:
                return Decision(access, Cause.UNKNOWN, f"the policy does not know {context}")
        class_and_mask = self._permission(access.tclass, access.permission)
        if isinstance(class_and_mask, str):
            return Decision(access, Cause.UNKNOWN, class_and_mask)
        tclass, permission = class_and_mask
        decided, reason = self._compute(source, target, tclass, permission)
        if not decided:
            return Decision(access, Cause.UNKNOWN, "libsepol could not decide it")
        if decided.allowed & permission:
            return self._decide_command(access)
        cause = _cause(reason)
        return Decision(
            access,
            Cause.MCS
            if cause is Cause.CONSTRAINT and self._is_mcs(access, target, class_and_mask)
            else cause,
        )

    def _decide_command(self, access: Access) -> Decision:
        """Decide an access that the plain rules allow by the extended rules."""
        if access.permission not in ("ioctl", NLMSG) or self._extended is None:
            return Decision(access, Cause.NONE)
        if access.permission == NLMSG and access.tclass in self._extended.by_message:
            detail = "selab does not evaluate extended rules about netlink messages (nlmsg)"
            return Decision(access, Cause.UNKNOWN, detail)
        if access.command is None:
            return Decision(access, Cause.NONE)
        source, target = (context.split(":", 3)[2] for context in (access.source, access.target))
        rules = self._extended.extended(source, target, access.tclass)
        if any(rule.condition for rule in rules):
            return Decision(access, Cause.UNKNOWN, "a boolean decides which ioctl commands are listed")
        listed = union(rules)
        if not rules or includes(listed, access.command):
            return Decision(access, Cause.NONE, by_command=bool(rules))
        detail = f"{as_hex(access.command)} is not in {in_te(listed) if listed else 'any allowxperm rule'}"
        return Decision(access, Cause.COMMAND, detail, by_command=True)

    @functools.cached_property
    def _extended(self) -> PolicyIndex | None:
        return extended_rules(self._library, self._policy)

    def _is_mcs(self, access: Access, target: int, class_and_mask: tuple[int, int]) -> bool:
        """Return whether the access would be allowed if the source had the target's level."""
        *names, _ = access.source.split(":", 3)
        source = self._sid(":".join([*names, *access.target.split(":", 3)[3:]]))
        decided, _ = self._compute(source, target, *class_and_mask) if source else (None, 0)
        return decided is not None and bool(decided.allowed & class_and_mask[1])

    def _compute(
        self, source: int, target: int, tclass: int, permission: int
    ) -> tuple[_AvDecision | None, int]:
        decision, reason = _AvDecision(), ctypes.c_uint(0)
        failed = self._library.sepol_compute_av_reason(
            ctypes.c_uint32(source),
            ctypes.c_uint32(target),
            ctypes.c_uint16(tclass),
            ctypes.c_uint32(permission),
            ctypes.byref(decision),
            ctypes.byref(reason),
        )
        return (None, 0) if failed else (decision, reason.value)

    def _sid(self, context: str) -> int:
        if context not in self._sids:
            text, sid = context.encode(), ctypes.c_uint32(0)
            failed = self._library.sepol_context_to_sid(text, ctypes.c_size_t(len(text)), ctypes.byref(sid))
            self._sids[context] = 0 if failed else sid.value
        return self._sids[context]

    def _permission(self, tclass: str, permission: str) -> tuple[int, int] | str:
        key = (tclass, permission)
        if key not in self._permissions:
            self._permissions[key] = self._look_up(tclass, permission)
        return self._permissions[key]

    def _look_up(self, tclass: str, permission: str) -> tuple[int, int] | str:
        number, mask = ctypes.c_uint16(0), ctypes.c_uint32(0)
        if (
            self._library.sepol_string_to_security_class(tclass.encode(), ctypes.byref(number))
            or not number.value
        ):
            return f"the policy has no class {tclass}"
        if (
            self._library.sepol_string_to_av_perm(number, permission.encode(), ctypes.byref(mask))
            or not mask.value
        ):
            return f"the class {tclass} has no permission {permission}"
        return number.value, mask.value


def _cause(reason: int) -> Cause:
    """Return the first obstacle: a constraint only restricts what rules allow, so a missing rule is first."""
    for bit, cause in (
        (TE, Cause.RULE),
        (CONSTRAINT, Cause.CONSTRAINT),
        (RBAC, Cause.ROLE),
        (BOUNDS, Cause.BOUNDS),
    ):
        if reason & bit:
            return cause
    return Cause.RULE
