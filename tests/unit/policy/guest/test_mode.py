"""The mode of a run, and the guard that is armed before a candidate enforces."""

from __future__ import annotations

import pytest

from selab.errors import CommandFailed
from selab.guest import Query, script
from selab.policy.guest.mode import restore_mode, switch_mode
from tests.unit.fakes import FakeGuest


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
