"""The mode of a run, and the guard that is armed before a candidate enforces."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from selab.errors import CommandFailed, Unreachable
from selab.guest import script
from selab.policy.guest import mode
from selab.policy.guest.load import ANY
from selab.policy.guest.mode import LIMIT, renewed, restore_mode, switch_mode
from tests.unit.fakes import Answer, FakeGuest
from tests.unit.policy.sandbox import KERNEL, Pipe, PolicyGuest

PID = "1234"
IN_GROUP = "0::/system.slice/selab-guard.service\n"
ARMED = f"{LIMIT}\n"
GUARD = "/run/selab/guard"


class GuardedGuest(PolicyGuest):
    """A guest whose guard runs, that has loaded the policy `digest`, and the orders to its guard."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.has(loaded="digest 7\n", **{"guard.pid": f"{PID}\n"})
        self.runs()
        self.orders = Pipe(self.path(GUARD))
        for name in ("systemctl", "sleep"):
            self.program(name)

    def runs(self, group: str = IN_GROUP) -> None:
        """Let the guard's process be in the control group `group`."""
        self.path(f"/proc/{PID}").mkdir(exist_ok=True)
        self.path(f"/proc/{PID}/cgroup").write_text(group)

    @property
    def mode(self) -> str:
        return self.path(f"{KERNEL}/enforce").read_text()

    @property
    def before(self) -> str:
        """The recorded mode from before the run, or an empty string."""
        path = self.path("/run/selab/mode")
        return path.read_text() if path.exists() else ""


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[GuardedGuest]:
    guest = GuardedGuest(tmp_path)
    with guest.orders:
        yield guest


def enforcing(guest: GuardedGuest) -> None:
    guest.status(enforcing=True, policyload=7)


def test_a_candidate_enforces_with_an_armed_guard(guest: GuardedGuest) -> None:
    switch_mode(True, "digest").of(guest)
    assert (guest.mode, guest.before, guest.orders.read(), guest.called) == ("1", "0\n", ARMED, [])


def test_a_guest_that_enforces_already_is_guarded_as_well(guest: GuardedGuest) -> None:
    enforcing(guest)
    switch_mode(True, "digest").of(guest)
    assert (guest.mode, guest.before, guest.orders.read()) == ("1", "1\n", ARMED)


@pytest.mark.parametrize("record", ["other 7\n", "", None])
def test_the_policy_of_an_earlier_run_never_enforces(guest: GuardedGuest, record: str | None) -> None:
    guest.path("/run/selab/loaded").unlink()
    guest.has(**({} if record is None else {"loaded": record}))
    switch_mode(True, "digest").of(guest)
    assert (guest.mode, guest.before, guest.orders.read()) == ("0", "", "")


def test_an_installed_policy_enforces_whatever_was_loaded_last(guest: GuardedGuest) -> None:
    guest.has(loaded="other 7\n")
    switch_mode(True, ANY).of(guest)
    assert guest.mode == "1"


def test_a_guest_that_is_permissive_already_stays_as_it_is(guest: GuardedGuest) -> None:
    switch_mode(False, "other").of(guest)
    assert (guest.mode, guest.before, guest.orders.read()) == ("0", "", "")


def test_a_permissive_run_needs_no_guard(guest: GuardedGuest) -> None:
    enforcing(guest)
    guest.path("/run/selab/guard.pid").unlink()
    switch_mode(False, "other").of(guest)
    assert (guest.mode, guest.before, guest.orders.read(), guest.called) == ("0", "1\n", "", [])


@pytest.mark.parametrize("to", [False, True])
def test_the_mode_from_before_an_interrupted_run_stays_recorded(guest: GuardedGuest, to: bool) -> None:
    guest.has(mode="0\n")
    enforcing(guest)
    switch_mode(to, "digest").of(guest)
    assert guest.before == "0\n"


START = 'echo 1234 >"{run}/guard.pid"; echo "0::/system.slice/selab-guard.service" >"{proc}/1234/cgroup"'


@pytest.mark.parametrize("group", [None, "0::/user.slice/other.service\n", ""])
def test_a_guard_that_does_not_run_is_started(guest: GuardedGuest, group: str | None) -> None:
    """Without a group, there is no record of the guard's process; otherwise its id is another process's."""
    guest.runs(group or "")
    if group is None:
        guest.path("/run/selab/guard.pid").unlink()
    guest.program("systemctl", START.format(run=guest.path("/run/selab"), proc=guest.path("/proc")))
    switch_mode(True, "digest").of(guest)
    assert (guest.called, guest.orders.read(), guest.mode) == (["systemctl restart selab-guard"], ARMED, "1")


def test_a_guard_that_starts_slowly_is_waited_for(guest: GuardedGuest) -> None:
    guest.runs("")
    guest.program("sleep", START.format(run=guest.path("/run/selab"), proc=guest.path("/proc")))
    switch_mode(True, "digest").of(guest)
    assert guest.called == ["systemctl restart selab-guard", "sleep 0.2"]
    assert guest.mode == "1"


def test_nothing_enforces_without_a_guard(guest: GuardedGuest) -> None:
    guest.runs("")
    with pytest.raises(CommandFailed, match="^The guard .* cannot be armed") as caught:
        switch_mode(True, "digest").of(guest)
    assert (caught.value.returncode, "selab-guard" in caught.value.output) == (8, True)
    assert (guest.mode, guest.orders.read(), guest.called.count("sleep 0.2")) == ("0", "", 50)


@pytest.mark.parametrize(("installed", "order"), [(False, ""), (True, ARMED)])
def test_a_guard_that_is_optional_is_armed_if_it_is_installed(
    guest: GuardedGuest, installed: bool, order: str
) -> None:
    if installed:
        guest.path("/usr/local/lib/selab/guard").touch()
    switch_mode(True, "digest", optional=True).of(guest)
    assert (guest.mode, guest.orders.read()) == ("1", order)


def test_a_mode_that_the_kernel_does_not_have_is_an_error(guest: GuardedGuest) -> None:
    guest.path(f"{KERNEL}/enforce").unlink()
    guest.path(f"{KERNEL}/enforce").symlink_to("/dev/null")
    with pytest.raises(CommandFailed, match="^The guest's mode could not be set"):
        switch_mode(True, "digest").of(guest)
    assert guest.orders.read() == ARMED


def test_a_mode_that_was_not_restored_stays_recorded(guest: GuardedGuest) -> None:
    guest.has(mode="0\n")
    guest.path(f"{KERNEL}/enforce").unlink()
    guest.path(f"{KERNEL}/enforce").symlink_to("/dev/null")
    with pytest.raises(CommandFailed, match="^The guest's mode could not be set"):
        restore_mode().of(guest)
    assert (guest.before, guest.orders.read()) == ("0\n", "")


@pytest.mark.parametrize(("before", "order"), [("0", "off\n"), ("1", "rest\n")])
def test_the_guard_is_called_off_only_in_a_guest_that_was_permissive(
    guest: GuardedGuest, before: str, order: str
) -> None:
    guest.has(mode=f"{before}\n")
    guest.status(enforcing=before == "0", policyload=7)
    restore_mode().of(guest)
    assert (guest.mode, guest.before, guest.orders.read()) == (before, "", order)


def test_the_mode_of_a_guest_without_a_guard_is_restored(guest: GuardedGuest) -> None:
    enforcing(guest)
    guest.has(mode="0\n")
    guest.path(GUARD).unlink()
    restore_mode().of(guest)
    assert (guest.mode, guest.before, guest.path(GUARD).exists()) == ("0", "", False)


@pytest.mark.parametrize("record", ["", None])
def test_a_mode_that_was_not_switched_is_not_restored(guest: GuardedGuest, record: str | None) -> None:
    enforcing(guest)
    guest.has(**({} if record is None else {"mode": record}))
    restore_mode().of(guest)
    assert (guest.mode, guest.orders.read()) == ("1", "")


@pytest.mark.parametrize(
    ("record", "guarded", "order"),
    [("0\n", True, ARMED), ("", True, ""), (None, True, ""), ("0\n", False, "")],
)
def test_an_armed_guard_gets_its_whole_limit_again(
    guest: GuardedGuest, record: str | None, guarded: bool, order: str
) -> None:
    guest.has(**({} if record is None else {"mode": record}))
    if not guarded:
        guest.path(GUARD).unlink()
    done = guest.run(["sh", "-c", script("policy/guest/renew-guard"), "sh", str(LIMIT)])
    assert (done.returncode, guest.orders.read()) == (0 if order else 1, order)
    assert guest.path(GUARD).exists() is guarded


class RenewedGuest(FakeGuest):
    """Records the renewals of its guard. The first breaks the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.rules.append(((GUARD,), self._renewed))
        self.renewals = threading.Semaphore(0)

    def _renewed(self, argv: Sequence[str]) -> Answer:
        self.renewals.release()
        if len(self.commands) == 1:
            raise Unreachable("The connection broke.")
        return 0, "", ""


def test_the_guard_is_renewed_with_its_whole_limit_until_the_block_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mode, "RENEWAL", 0.01)
    guest = RenewedGuest()
    with renewed(guest):
        assert guest.renewals.acquire(timeout=10) and guest.renewals.acquire(timeout=10)
    assert {argv[-1] for argv in guest.commands} == {str(LIMIT)}


def test_no_renewal_is_sent_after_the_block() -> None:
    before = set(threading.enumerate())
    with renewed(FakeGuest()):
        (thread,) = set(threading.enumerate()) - before
    thread.join(10)
    assert not thread.is_alive()


def test_the_guard_acts_later_than_two_renewals_may_be_lost() -> None:
    assert 3 * mode.RENEWAL <= LIMIT
