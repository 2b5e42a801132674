"""Write a kernel policy into the guest's kernel, and prove that it is in force."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from selab import guest_state
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Malformed, Query, complete_line, number, one_of, script
from selab.policy.compile import KernelPolicy

LOAD_TIMEOUT = 120.0
"""Seconds to send two megabytes and to load them: one in an emulated guest, more over a slow line."""


class Mode(StrEnum):
    """The mode of a run. `domain` is enforcing mode in which the domain of the candidate is permissive."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DOMAIN = "domain"


ANY = "any"
"""Stands for the digest of whichever policy is in force."""


@dataclass(frozen=True)
class PolicyState:
    """What the kernel reports about its policy.

    enforcing: whether the kernel is in enforcing mode.
    policyload: counter of the kernel's status page, which goes up with each policy load and each boolean
        commit (selinux_kernel_status, security/selinux/include/security.h).
    digest: digest of the policy that selab loaded last, or "" if the kernel has loaded another one since; the
        policy in force is then unknown.
    """

    enforcing: bool
    policyload: int
    digest: str


def policy_state() -> Query[PolicyState]:
    """Query the kernel's mode and which policy is in force."""
    return Query(script("policy/guest/policy-state"), _state)


def _state(done: Completed) -> PolicyState:
    done.expect("The guest's SELinux state cannot be read.", hint="Run `selab doctor`.")
    words = complete_line(done.text).split()
    if len(words) < 2:
        raise SelabError(
            "SELinux is not enabled in the guest.", "/sys/fs/selinux/status is empty.", "Run `selab doctor`."
        )
    if len(words) > 4:
        raise Malformed(f"it has {len(words)} words")
    digest = words[2] if len(words) == 4 and words[3] == words[1] else ""
    return PolicyState(one_of(words[0], "0", "1") == "1", number(words[1]), digest)


def load(policy: KernelPolicy, contexts: Sequence[str] = ()) -> Query[None]:
    """Load `policy`, which flushes the kernel's cache, and prove that it is in force.

    The proof: the kernel's counter went up by one, and each of `contexts` is valid.
    """
    read = functools.partial(_proven, "The policy was not loaded.")
    return Query(script("policy/guest/load"), read, (policy.digest, *contexts), policy.binary, LOAD_TIMEOUT)


def load_base() -> Query[None]:
    """Replace a candidate by the policy that the next boot would load."""
    return Query(
        script("policy/guest/load-base"),
        functools.partial(_proven, "The base policy was not loaded."),
        timeout=LOAD_TIMEOUT,
    )


def flush_cache(digest: str, contexts: Sequence[str] = ()) -> Query[bool]:
    """Empty the kernel's access vector cache, so that each denial is logged again.

    This happens only if the policy `digest` (or ANY) is in force. The answer is False, and nothing was
    changed, if another policy is.
    """
    return Query(script("policy/guest/flush-cache"), _flushed, (digest, *contexts))


def _flushed(done: Completed) -> bool:
    if done.returncode != guest_state.OTHER_POLICY.code:
        _proven("The kernel's access vector cache was not flushed.", done)
    return done.ok


def _proven(what: str, done: Completed) -> None:
    if not done.ok:
        sentence = {
            guest_state.REFUSED_BY_KERNEL.code: "The kernel refused the policy.",
            guest_state.INVALID_CONTEXT.code: "The container's label is not valid under this policy.",
        }
        hint = (
            "Does the template give the domain a role? container_domain_template does."
            if done.returncode == guest_state.INVALID_CONTEXT.code
            else ""
        )
        raise CommandFailed(
            sentence.get(done.returncode, what), ["load-policy"], done.returncode, done.error_text, hint
        )
