"""Write a kernel policy into the guest's kernel, and prove that it is in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest
from selab.policy.build import KernelPolicy

LOAD_TIMEOUT = 120.0
"""Seconds to send two megabytes and have the kernel read them: one in an emulated guest, more over a slow line."""


class Mode(StrEnum):
    """How the run is meant to be enforced; `domain`: enforcing, but the candidate's domain permissive."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DOMAIN = "domain"


@dataclass(frozen=True)
class PolicyState:
    """What the kernel says of itself.

    `policyload` is the counter of the kernel's status page, which goes up with each policy load and each boolean commit
    (selinux_kernel_status, security/selinux/include/security.h). `digest` is that of the policy that selab loaded last, or nothing
    where the kernel has had another one since: then nobody knows what is in force.
    """

    enforcing: bool
    policyload: int
    digest: str


# The status page: five 32-bit words (version, sequence, enforcing, policyload, deny_unknown) in the machine's byte order.
_STATE = r"""
set -- $(od -An -tu4 -j8 -N8 /sys/fs/selinux/status) || exit 3
echo "$1 $2 $(cat /run/selab/loaded 2>/dev/null)"
"""
_LOAD = r"""
digest=$1; shift
policyload() { od -An -tu4 -j12 -N4 /sys/fs/selinux/status | tr -d ' '; }
before=$(policyload)
mkdir -p /run/selab && rm -f /run/selab/loaded
dd of=/sys/fs/selinux/load bs=64M iflag=fullblock status=none || exit 4
after=$(policyload)
[ "$after" -eq $((before + 1)) ] || { echo "policyload went from $before to $after" >&2; exit 5; }
for context; do
  printf '%s' "$context" >/sys/fs/selinux/context 2>/dev/null || { echo "$context is not a valid context" >&2; exit 6; }
done
echo "$digest $after" >/run/selab/loaded
"""
# A commit of unchanged booleans makes the kernel flush its access vector cache (security_set_bools -> avc_ss_reset) without a policy
# load and without a moment in another mode.
_FLUSH = r"""
digest=$1; shift
policyload() { od -An -tu4 -j12 -N4 /sys/fs/selinux/status | tr -d ' '; }
before=$(policyload)
printf 1 >/sys/fs/selinux/commit_pending_bools || exit 4
after=$(policyload)
[ "$after" -gt "$before" ] || { echo "policyload stayed at $before" >&2; exit 5; }
for context; do
  printf '%s' "$context" >/sys/fs/selinux/context 2>/dev/null || { echo "$context is not a valid context" >&2; exit 6; }
done
echo "$digest $after" >/run/selab/loaded
"""


def policy_state(guest: Guest) -> PolicyState:
    """What is in force now; one round trip."""
    done = guest.run(["sh", "-c", _STATE]).expect("The guest's SELinux state cannot be read.", hint="Run `selab doctor`.")
    words = done.text.split()
    if len(words) < 2:
        raise SelabError("SELinux is not enabled in the guest.", "/sys/fs/selinux/status is empty.", "Run `selab doctor`.")
    digest = words[2] if len(words) == 4 and words[3] == words[1] else ""
    return PolicyState(words[0] == "1", int(words[1]), digest)


def load(guest: Guest, policy: KernelPolicy, contexts: Sequence[str] = ()) -> None:
    """Load `policy`, which flushes the cache, and prove it: the kernel's counter went up by one, and each of `contexts` is valid."""
    done = guest.run(["sh", "-c", _LOAD, "sh", policy.digest, *contexts], input=policy.binary, timeout=LOAD_TIMEOUT)
    _proven(done, "The policy was not loaded.")


def flush_cache(guest: Guest, digest: str, contexts: Sequence[str] = ()) -> None:
    """Empty the kernel's access vector cache, so that each denial is logged again; `digest` is the policy's known to be in force."""
    _proven(guest.run(["sh", "-c", _FLUSH, "sh", digest, *contexts]), "The kernel's access vector cache was not flushed.")


def _proven(done: Completed, what: str) -> None:
    if not done.ok:
        sentence = {4: "The kernel refused the policy.", 6: "The container's label is not valid under this policy."}
        hint = "Does the template give the domain a role? container_domain_template does." if done.returncode == 6 else ""
        raise CommandFailed(sentence.get(done.returncode, what), ["load-policy"], done.returncode, done.error_text, hint)


@contextmanager
def enforcing(guest: Guest, wanted: bool, now: bool) -> Iterator[None]:
    """Have the guest enforcing, or permissive, inside the block, and as it was (`now`) after it."""
    if wanted == now:
        yield
        return
    try:
        set_enforcing(guest, wanted)
        yield
    finally:
        set_enforcing(guest, now)


def set_enforcing(guest: Guest, wanted: bool) -> None:
    """Switch the mode and see that it took."""
    script = 'printf "$1" >/sys/fs/selinux/enforce && [ "$(cat /sys/fs/selinux/enforce)" = "$1" ]'
    guest.run(["sh", "-c", script, "sh", "1" if wanted else "0"]).expect("The guest's mode could not be set.")
