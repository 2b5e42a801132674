"""The mode of a run, and the guard that is armed before a candidate enforces."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from selab.errors import CommandFailed
from selab.guest import Query, script
from selab.policy.guest import mode
from selab.policy.guest.mode import renewed, restore_mode, switch_mode
from tests.unit.fakes import Answer, FakeGuest, SandboxGuest


@pytest.mark.parametrize("ask", [switch_mode(True, "digest"), restore_mode()])
def test_a_mode_that_did_not_take_is_an_error(ask: Query[None]) -> None:
    guest = FakeGuest()
    guest.answer(ask.script, code=1)
    with pytest.raises(CommandFailed, match="mode could not be set"):
        ask.of(guest)


def test_a_guard_that_cannot_be_armed_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/switch-mode"), code=8, err="the service selab-guard does not run")
    with pytest.raises(CommandFailed, match="cannot be armed"):
        switch_mode(True, "digest").of(guest)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[SandboxGuest, int]]:
    """A guest that enforces during a run, and what reads the orders to its guard."""
    guest = SandboxGuest(tmp_path)
    guest.status(enforcing=True, policyload=7)
    fifo = guest.path("/run/selab/guard")
    os.mkfifo(fifo)
    orders = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    yield guest, orders
    os.close(orders)


@pytest.mark.parametrize(("before", "order"), [("0", b"off\n"), ("1", b"rest\n")])
def test_the_guard_is_called_off_only_in_a_guest_that_was_permissive(
    guarded: tuple[SandboxGuest, int], before: str, order: bytes
) -> None:
    guest, orders = guarded
    guest.path("/run/selab/mode").write_text(f"{before}\n")
    restore_mode().of(guest)
    assert os.read(orders, 100) == order
    assert guest.path("/sys/fs/selinux/enforce").read_text() == before


def test_a_mode_that_was_not_switched_is_not_restored(guarded: tuple[SandboxGuest, int]) -> None:
    guest, orders = guarded
    restore_mode().of(guest)
    with pytest.raises(BlockingIOError):
        os.read(orders, 100)


def test_a_renewal_gives_the_guard_its_whole_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "RENEWAL", 0.01)
    guest, renewals = FakeGuest(), threading.Event()

    def answer(argv: Sequence[str]) -> Answer:
        renewals.set()
        return 0, "", ""

    guest.rules.append((("/run/selab/guard",), answer))
    with renewed(guest):
        assert renewals.wait(10)
    assert guest.commands[0][-1] == str(mode.LIMIT)
