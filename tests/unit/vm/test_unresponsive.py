"""A VM that runs and does not answer, or that a candidate has locked: the steps of its rescue, in order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from selab.errors import CommandFailed, SelabError, Unreachable
from selab.progress import Progress
from selab.vm import connection, libvirt, rescue, virtual_machine
from selab.vm.ssh_login import Address
from tests.unit.fakes import Notes

from .conftest import DOMAIN, FakeVm, ProvisionedGuest

ADDRESS = Address("127.0.0.1", 2222, "root", Path("/k"), Path("/h"))


class Silence:
    """A VM that runs and does not answer: what selab tries, in order, and what helps.

    `waits` is, for each wait for the guest, whether it then answers; `console` is whether the console helps.
    `tried` begins with whether the recorded login was replaced, and has the limit of each wait.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *waits: bool, console: bool = False) -> None:
        self.tried, self._waits, self._console = list[object](), iter(waits), console
        monkeypatch.setattr(connection.Connection, "remember", lambda _, anew: self.tried.append(anew))
        monkeypatch.setattr(connection.Connection, "wait", self._wait)
        monkeypatch.setattr(rescue, "by_console", self._by_console)

    def _wait(self, recorder: object, limit: float = 0.0) -> ProvisionedGuest:
        self.tried.append(limit)
        if not next(self._waits):
            raise Unreachable("The VM runs but did not answer.")
        return ProvisionedGuest(ADDRESS)

    def _by_console(self, domain: str, password: str) -> None:
        self.tried.append((domain, password))
        if not self._console:
            raise Unreachable("The guest's console does not answer.")


def resets(lab: FakeVm) -> list[str]:
    return [word for word in lab.calls("virsh") if word == "reset"]


def test_a_vm_that_never_answered_is_waited_for_and_not_reset(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may still boot for the first time, so neither its console nor its power switch is touched."""
    silence = Silence(monkeypatch, False)
    with pytest.raises(Unreachable, match="did not answer"):
        lab.machine._found_running(Progress())
    assert (silence.tried, resets(lab)) == ([True, 0.0], [])


def test_a_vm_that_answers_soon_needs_no_console(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    silence = Silence(monkeypatch, True)
    lab.machine._found_running(Progress())
    assert (silence.tried, resets(lab)) == ([True, virtual_machine.PATIENCE], [])


def test_a_vm_that_a_policy_has_locked_is_restored_on_its_console(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.known()
    silence, notes = Silence(monkeypatch, False, True, console=True), Notes()
    lab.machine._found_running(notes)
    assert silence.tried == [True, virtual_machine.PATIENCE, (DOMAIN, "secret"), 0.0]
    assert (resets(lab), "locked SSH out" in " ".join(notes.notes)) == ([], True)


def test_a_vm_that_is_unresponsive_is_reset_last(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    lab.virsh("reset", "")
    silence = Silence(monkeypatch, False, False, True)
    lab.machine._found_running(Progress())
    assert silence.tried == [True, virtual_machine.PATIENCE, (DOMAIN, "secret"), 0.0, 0.0]
    assert resets(lab) == ["reset"]


def test_a_vm_that_cannot_be_reset_is_reported_as_silent(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.known()
    Silence(monkeypatch, False, False)
    with pytest.raises(Unreachable, match="did not answer"):
        lab.machine._found_running(Progress())
    assert resets(lab) == ["reset"]


# --- rescue ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "tried"), [("running", True), ("", True), ("shut off", False), ("paused", False)]
)
def test_a_vm_that_was_stopped_from_outside_is_not_rescued(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, state: str, tried: bool
) -> None:
    lab.known()
    ways: list[rescue.Ways] = []
    monkeypatch.setattr(rescue, "rescue", lambda way, progress: ways.append(way) or "by SSH")
    monkeypatch.setattr(libvirt, "domain_state", lambda domain: state)
    assert lab.machine.rescue(Progress()) == ("by SSH" if tried else "")
    assert [(way.domain, way.password) for way in ways] == [(DOMAIN, "secret")] * tried


def test_a_rescue_logs_in_within_its_limit_and_resets_the_vm(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.known()
    lab.virsh("reset", "")
    limits: list[float] = []
    monkeypatch.setattr(connection.Connection, "connect", lambda _, limit: limits.append(limit))
    monkeypatch.setattr(connection.Connection, "wait", lambda _, recorder: "the guest")
    monkeypatch.setattr(libvirt, "domain_state", lambda domain: "running")
    monkeypatch.setattr(rescue, "rescue", lambda ways, progress: (ways.login(), ways.reset())[1])
    assert lab.machine.rescue(Progress()) == "the guest"
    assert (limits, resets(lab)) == ([rescue.LOGIN_LIMIT], ["reset"])


def test_a_reset_that_fails_is_an_error(lab: FakeVm) -> None:
    lab.known()
    with pytest.raises(SelabError, match="could not be reset") as caught:
        lab.machine.reset()
    assert DOMAIN in caught.value.detail and "failed to get domain" in caught.value.detail


@pytest.mark.parametrize("code", [0, 1])
def test_a_login_works_if_it_runs_a_program(lab: FakeVm, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    lab.known()
    commands: list[tuple[object, ...]] = []

    class Guest(ProvisionedGuest):
        def _answer(self, argv: tuple[str, ...]) -> tuple[int, bytes, bytes]:
            commands.append(argv)
            return code, b"", b""

    def connect(address: Any, **options: Any) -> Guest:
        assert options == {"limit": rescue.LOGIN_LIMIT}
        return Guest(address)

    monkeypatch.setattr(virtual_machine.SshGuest, "connect", connect)
    with pytest.raises(CommandFailed) if code else contextlib.nullcontext():
        lab.machine.try_login()
    assert commands == [("true",)]
