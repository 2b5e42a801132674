"""Loading: what the guest says decides, and nothing is believed without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script
from selab.policy.compile import KernelPolicy
from selab.policy.guest.load import ANY, PolicyState, flush_cache, load, load_base, policy_state
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import KERNEL, Pipe, PolicyGuest

POLICY = KernelPolicy(b"the policy", "digest")
CONTEXTS = ("u:r:web_t:s0", "u:object_r:web_t:s0")


@pytest.fixture
def guest(tmp_path: Path) -> PolicyGuest:
    """A guest in which selab has loaded the policy `digest`, the kernel's seventh."""
    guest = PolicyGuest(tmp_path)
    guest.has(loaded="digest 7\n")
    return guest


@pytest.mark.parametrize(
    ("loaded", "digest"),
    [("digest 7\n", "digest"), ("digest 6\n", ""), ("digest\n", ""), ("", ""), (None, "")],
)
def test_a_policy_is_known_only_while_the_kernels_counter_stands(
    guest: PolicyGuest, loaded: str | None, digest: str
) -> None:
    guest.path("/run/selab/loaded").unlink()
    guest.has(**({} if loaded is None else {"loaded": loaded}))
    guest.status(enforcing=True, policyload=7)
    assert policy_state().of(guest) == PolicyState(True, 7, digest)


def test_a_permissive_guest_does_not_enforce(guest: PolicyGuest) -> None:
    assert not policy_state().of(guest).enforcing


def test_a_kernel_without_selinux_is_an_error(guest: PolicyGuest) -> None:
    guest.path(f"{KERNEL}/status").unlink()
    with pytest.raises(SelabError, match="^SELinux is not enabled"):
        policy_state().of(guest)


def test_a_status_that_cannot_be_read_is_not_one_of_a_kernel_without_selinux(guest: PolicyGuest) -> None:
    guest.program("od", "exit 1")
    with pytest.raises(CommandFailed, match="^The guest's SELinux state cannot be read") as caught:
        policy_state().of(guest)
    assert caught.value.returncode == 3


@pytest.mark.parametrize("line", ["2 7", "1 x", "1 7 digest 7 more", "1 7\n1 7"])
def test_an_answer_that_is_no_state_makes_no_sense(line: str) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/policy-state"), out=f"{line}\n")
    with pytest.raises(SelabError, match="makes no sense"):
        policy_state().of(guest)


def loaded(guest: PolicyGuest) -> None:
    load(POLICY, CONTEXTS).of(guest)


def flushed(guest: PolicyGuest) -> None:
    flush_cache("digest", CONTEXTS).of(guest)


CHANGES = pytest.mark.parametrize(
    ("change", "file", "failure"),
    [
        (loaded, "load", "^The policy was not loaded"),
        (flushed, "commit_pending_bools", "^The kernel's .* was not flushed"),
    ],
)
Change = Callable[[PolicyGuest], None]


@CHANGES
def test_the_kernels_counter_proves_the_change(
    guest: PolicyGuest, change: Change, file: str, failure: str
) -> None:
    guest.count(8, after=file)
    change(guest)
    assert guest.path(f"{KERNEL}/{file}").read_text() == {"load": "the policy"}.get(file, "1")
    assert guest.loaded == "digest 8\n"


@CHANGES
@pytest.mark.parametrize("count", [7, 9])
def test_a_counter_that_did_not_go_up_by_one_is_an_error(
    guest: PolicyGuest, change: Change, file: str, failure: str, count: int
) -> None:
    guest.count(count, after=file)
    with pytest.raises(CommandFailed, match=failure) as caught:
        change(guest)
    assert (caught.value.returncode, f"from 7 to {count}" in caught.value.output) == (5, True)
    assert guest.loaded in (None, "digest 7\n")


@CHANGES
def test_what_the_kernel_refuses_is_an_error(
    guest: PolicyGuest, change: Change, file: str, failure: str
) -> None:
    guest.refuse(file)
    with pytest.raises(CommandFailed, match="^The kernel refused the policy") as caught:
        change(guest)
    assert caught.value.returncode == 4


@CHANGES
def test_each_context_must_be_valid_under_the_policy(
    guest: PolicyGuest, change: Change, file: str, failure: str
) -> None:
    guest.count(8, after=file)
    with Pipe(guest.path(f"{KERNEL}/context")) as checked:
        change(guest)
        assert checked.read() == "".join(CONTEXTS)


@CHANGES
def test_an_invalid_context_is_an_error_that_names_it(
    guest: PolicyGuest, change: Change, file: str, failure: str
) -> None:
    guest.count(8, after=file)
    guest.refuse("context")
    with pytest.raises(CommandFailed, match="^The container's label is not valid") as caught:
        change(guest)
    assert (caught.value.returncode, CONTEXTS[0] in caught.value.output) == (6, True)
    assert caught.value.hint
    assert guest.loaded in (None, "digest 7\n")


def test_a_policy_that_was_refused_leaves_no_record_of_the_one_before(guest: PolicyGuest) -> None:
    guest.refuse("load")
    with pytest.raises(CommandFailed):
        loaded(guest)
    assert guest.loaded is None


@pytest.mark.parametrize("record", ["digest 6\n", "other 7\n", None])
def test_no_cache_is_flushed_if_another_policy_is_in_force(guest: PolicyGuest, record: str | None) -> None:
    guest.path("/run/selab/loaded").unlink()
    guest.has(**({} if record is None else {"loaded": record}))
    assert flush_cache("digest").of(guest) is False
    assert (guest.loaded, guest.path(f"{KERNEL}/commit_pending_bools").exists()) == ("", False)


def test_the_cache_of_an_installed_policy_is_flushed_whatever_was_loaded_last(guest: PolicyGuest) -> None:
    guest.has(loaded="other 6\n")
    guest.count(8, after="commit_pending_bools")
    assert flush_cache(ANY).of(guest) is True


def test_the_base_policy_takes_the_place_of_the_candidate(guest: PolicyGuest) -> None:
    guest.program("load_policy")
    load_base().of(guest)
    assert (guest.called, guest.loaded) == (["load_policy "], None)


def test_a_base_policy_that_cannot_be_loaded_is_an_error(guest: PolicyGuest) -> None:
    guest.program("load_policy", "exit 2")
    with pytest.raises(CommandFailed, match="^The base policy was not loaded") as caught:
        load_base().of(guest)
    assert (caught.value.returncode, guest.loaded) == (2, None)
