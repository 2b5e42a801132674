"""Loading: what the guest says decides, and nothing is believed without it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script
from selab.policy.compile import KernelPolicy
from selab.policy.guest.load import flush_cache, load, policy_state
from tests.unit.fakes import FakeGuest, SandboxGuest


@pytest.mark.parametrize(
    ("state_line", "enforce", "digest"),
    [
        ("1 7 abc 7\n", True, "abc"),
        ("0 7 abc 6\n", False, ""),
        ("0 7\n", False, ""),
        ("0 7 abc\n", False, ""),
    ],
)
def test_a_policy_is_known_only_while_the_kernels_counter_stands(
    state_line: str, enforce: bool, digest: str
) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/policy-state"), out=state_line)
    state = policy_state().of(guest)
    assert (state.enforcing, state.policyload, state.digest) == (enforce, 7, digest)


def test_a_kernel_without_selinux_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/policy-state"), out="\n")
    with pytest.raises(SelabError, match="not enabled"):
        policy_state().of(guest)


@pytest.mark.parametrize(
    ("code", "sentence"), [(4, "refused the policy"), (5, "was not loaded"), (6, "label is not valid")]
)
def test_a_load_that_is_not_proven_is_an_error(code: int, sentence: str) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/load"), code=code, err="why")
    with pytest.raises(CommandFailed, match=sentence):
        load(KernelPolicy(b"x", "digest")).of(guest)


def test_a_cache_that_was_not_flushed_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/flush-cache"), code=5)
    with pytest.raises(CommandFailed, match="not flushed"):
        flush_cache("digest").of(guest)


@pytest.mark.parametrize(("code", "flushed"), [(0, True), (7, False)])
def test_a_cache_is_flushed_only_where_the_policy_is_in_force(code: int, flushed: bool) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/flush-cache"), code=code)
    assert flush_cache("digest").of(guest) is flushed


@pytest.mark.parametrize(("written", "code"), [(8, 0), (7, 5), (9, 5)], ids=["loaded", "unchanged", "twice"])
def test_a_load_is_proven_by_the_kernels_counter(tmp_path: Path, written: int, code: int) -> None:
    """The counter was 7; `written` is what the kernel shows after the policy was written to it."""
    guest = SandboxGuest(tmp_path)
    guest.status(enforcing=False, policyload=7)
    after = tmp_path / "after"
    after.write_bytes(struct.pack("=5I", 1, 2, 0, written, 0))
    guest.program("dd", f'cat >/dev/null; cat "{after}" >"{guest.path("/sys/fs/selinux/status")}"')
    query = load(KernelPolicy(b"x", "digest"))
    assert guest.run(["sh", "-c", query.script, "sh", *query.arguments], input=b"x").returncode == code
    loaded = guest.path("/run/selab/loaded")
    assert (loaded.read_text() if loaded.exists() else "") == ("" if code else f"digest {written}\n")
