"""What selab says while it brings the VM up, and if it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from selab.errors import CommandFailed, SelabError, Unreachable
from selab.progress import Progress
from selab.vm import libvirt, provision, rescue, vagrantfile, virtual_machine
from selab.vm.ssh_login import Address
from selab.vm.virtual_machine import VirtualMachine
from tests.unit.fakes import FakeGuest, Notes

from .conftest import DOMAIN, FakeVm, ProvisionedGuest

ADDRESS = Address("127.0.0.1", 2222, "root", Path("/k"), Path("/h"))


def failure(action: Callable[[], object]) -> SelabError:
    with pytest.raises(SelabError) as caught:
        action()
    return caught.value


class Vagrant:
    """Vagrant that reports `state`. `calls` records each other command."""

    def __init__(self, state: str) -> None:
        self.answer, self.calls = state, list[tuple[Any, ...]]()

    def state(self) -> str:
        return self.answer

    def up(self, progress: Progress, provider: str = "") -> None:
        self.calls.append(("up", provider))

    def resume(self, progress: Progress) -> None:
        self.calls.append(("resume",))

    def halt(self, progress: Progress) -> None:
        self.calls.append(("halt",))

    def destroy(self, progress: Progress) -> None:
        self.calls.append(("destroy",))


@pytest.fixture
def machine(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> VirtualMachine:
    """A VM whose guest answers as soon as it was started, without a process."""
    vagrantfile.place(lab.project, Progress())
    machine = lab.machine

    def starting(self: object, start: Callable[[], None], *, anew: bool = False) -> object:
        start()
        return f"anew={anew}"

    monkeypatch.setattr(VirtualMachine, "_starting", starting)
    monkeypatch.setattr(VirtualMachine, "_daemon", lambda _: None)
    monkeypatch.setattr(virtual_machine.VagrantRecord, "restore_parameters", lambda *_: None)
    monkeypatch.setattr(virtual_machine.VagrantRecord, "move_port", lambda *_: None)
    return machine


def brought_up(machine: VirtualMachine, state: str) -> tuple[object, list[tuple[Any, ...]], list[str]]:
    """Return the guest, the commands of Vagrant and the notes of a VM in this state."""
    vagrant, notes = Vagrant(state), Notes()
    machine.vagrant = cast(Any, vagrant)
    return machine._bring_up(notes), vagrant.calls, notes.notes


@pytest.mark.parametrize("state", sorted(virtual_machine.SUSPENDED))
def test_a_suspended_vm_is_resumed_with_a_note(machine: VirtualMachine, state: str) -> None:
    assert brought_up(machine, state) == ("anew=False", [("resume",)], [f"the VM is {state}: resuming it"])


@pytest.mark.parametrize("state", sorted(virtual_machine.OFF))
def test_a_vm_that_is_off_is_started_with_a_note(machine: VirtualMachine, state: str) -> None:
    assert brought_up(machine, state) == (
        "anew=False",
        [("up", "")],
        [f"the VM is off ({state}): starting it"],
    )


@pytest.mark.parametrize("state", sorted(virtual_machine.BUSY))
def test_a_busy_vm_is_left_alone_with_its_state(machine: VirtualMachine, state: str) -> None:
    error = failure(lambda: brought_up(machine, state))
    assert "The VM is busy" in error.what
    assert f"'{state}'" in error.detail and "Vagrant" in error.detail
    assert "Wait for that process" in error.hint


@pytest.mark.parametrize(("state", "provider"), [("strange", "libvirt"), ("inaccessible", "virtualbox")])
def test_a_vm_in_an_unknown_state_is_left_alone_with_its_state(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch, state: str, provider: str
) -> None:
    monkeypatch.setattr(virtual_machine.VagrantRecord, "provider", lambda _: provider)
    error = failure(lambda: brought_up(machine, state))
    assert "state that selab does not change" in error.what
    assert f"'{state}'" in error.detail
    assert "`vagrant status`" in error.hint and "`selab vm destroy`" in error.hint


@pytest.mark.parametrize("state", ["running", "inaccessible"])
def test_a_vm_that_runs_is_waited_for_with_a_note(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(VirtualMachine, "_found_running", lambda *_: "a guest")
    assert brought_up(machine, state) == ("a guest", [], ["the VM runs: waiting for it to answer"])


@pytest.mark.parametrize("is_ours", [True, False])
def test_only_one_process_creates_the_first_vm_of_a_box(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    alone: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def first_alone(box: str, provider: str, progress: Progress) -> Iterator[None]:
        alone.append((box, provider))
        yield

    monkeypatch.setattr(virtual_machine, "first_alone", first_alone)
    monkeypatch.setattr(vagrantfile, "is_ours", lambda project: is_ours)
    guest, calls, _ = brought_up(machine, "not_created")
    stored = machine.files.vagrant_parameters()
    box = stored.box if stored else ""
    assert (guest, calls, alone) == (
        "anew=True",
        [("up", "libvirt" if is_ours else "")],
        [(box, "libvirt")],
    )
    assert bool(box) is is_ours


def test_a_vm_that_cannot_be_created_is_removed_with_a_note(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise SelabError("no")

    monkeypatch.setattr(VirtualMachine, "_starting", fails)
    vagrant, notes = Vagrant("not_created"), Notes()
    machine.vagrant = cast(Any, vagrant)
    with pytest.raises(SelabError, match="no"):
        machine._create(notes)
    assert (vagrant.calls, notes.notes[-1]) == ([("destroy",)], "removing the incomplete VM")


def test_the_hosts_key_of_an_earlier_vm_is_not_kept_for_a_new_one(machine: VirtualMachine) -> None:
    machine.files.known_hosts.write_text("old")
    brought_up(machine, "not_created")
    assert not machine.files.known_hosts.exists()


@pytest.mark.parametrize("helps", [True, False])
def test_a_vm_whose_network_is_open_is_restarted_once(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch, helps: bool
) -> None:
    states, guest, fresh = iter([False, helps]), FakeGuest(), FakeGuest()
    machine._network = cast(Any, SimpleNamespace(secure=lambda progress: next(states)))
    monkeypatch.setattr(VirtualMachine, "_bring_up", lambda *_: fresh)
    machine.vagrant, notes = cast(Any, Vagrant("running")), Notes()
    if helps:
        assert machine._secured(cast(Any, guest), notes) is fresh
    else:
        error = failure(lambda: machine._secured(cast(Any, guest), notes))
        assert error.what == libvirt.OPEN_NETWORK
        assert "after a restart" in error.detail and "`selab vm destroy`" in error.hint
    assert (guest.closed, fresh.closed, cast(Any, machine.vagrant).calls) == (True, not helps, [("halt",)])
    assert ["close its network" in step for step in notes.steps] == [True]


def test_a_vm_that_does_not_answer_is_started_and_prepared_in_steps(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, notes = ProvisionedGuest(ADDRESS, stamp="not ready"), Notes()
    monkeypatch.setattr(VirtualMachine, "_bring_up", lambda *_: guest)
    monkeypatch.setattr(VirtualMachine, "_secured", lambda _, guest, progress: guest)
    monkeypatch.setattr(virtual_machine.Connection, "with_own_key", lambda _, guest, progress: guest)
    monkeypatch.setattr(provision, "provision", lambda guest, progress, online: ["Docker"])
    assert cast(Any, machine.ensure(notes)) is guest
    assert (notes.steps, machine.applied()) == (["Starting the VM", "Preparing the guest"], ["Docker"])


def test_a_preparation_is_a_step(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    monkeypatch.setattr(provision, "provision", lambda guest, progress, online: [])
    notes = Notes()
    lab.machine.prepare(notes)
    assert notes.steps == ["Preparing the guest"]


# --- commands -------------------------------------------------------------------------------------


def test_without_a_serial_console_the_hint_is_a_login(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    monkeypatch.setattr(virtual_machine.shutil, "which", {}.get)
    error = failure(lab.machine.console_command)
    assert "Only a libvirt VM has a serial console" in error.what and "`selab vm ssh`" in error.hint


def test_a_vm_of_another_provider_has_no_serial_console(lab: FakeVm) -> None:
    record = lab.project.vagrant_dir / ".vagrant/machines/default/virtualbox/id"
    record.parent.mkdir(parents=True)
    record.write_text("x")
    assert "serial console" in failure(lab.machine.console_command).what


def test_a_shell_needs_the_program_ssh(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    monkeypatch.setattr(virtual_machine.shutil, "which", {}.get)
    error = failure(lab.machine.shell)
    assert "No ssh client is installed" in error.what
    assert "openssh-client" in error.hint and "`selab vm ssh -- id`" in error.hint


def test_a_shell_is_started_if_the_program_ssh_exists(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    started: list[list[str]] = []
    monkeypatch.setattr(virtual_machine.shutil, "which", {"ssh": "/usr/bin/ssh"}.get)
    monkeypatch.setattr(virtual_machine.subprocess, "run", started.append)
    lab.machine.shell()
    assert [words[0] for words in started] == ["ssh"]


def test_a_reset_that_fails_shows_its_command_and_another_way(lab: FakeVm) -> None:
    lab.known()
    error = failure(lab.machine.reset)
    assert "could not be reset" in error.what
    assert error.detail == f"`virsh reset {DOMAIN}`: error: failed to get domain or volume"
    assert "`selab vm halt`" in error.hint


@pytest.mark.parametrize("code", [0, 1])
def test_a_login_is_tried_within_its_limits(lab: FakeVm, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Login(FakeGuest):
        def __enter__(self) -> Login:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    lab.known()
    guest = Login()
    guest.answer("true", code=code, err="no shell")
    monkeypatch.setattr(virtual_machine.SshGuest, "connect", lambda address, limit: guest)
    if code:
        error = failure(lab.machine.try_login)
        assert isinstance(error, CommandFailed)
        assert "new login cannot run a command" in error.what and "no shell" in error.detail
    else:
        lab.machine.try_login()
    assert (guest.timeouts, guest.closed) == ([rescue.CHECK_LIMIT], True)


def test_a_network_is_set_while_the_vm_is_up(
    machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(
        VirtualMachine, "ensure", lambda *_: SimpleNamespace(close=lambda: calls.append("closed"))
    )
    machine._network = cast(Any, SimpleNamespace(set=lambda *words: calls.append(words)))
    progress = Progress()
    machine.set_network("open", progress)
    assert calls == ["closed", (virtual_machine.Reach.OPEN, progress)]


def test_an_unresponsive_vm_is_reset_with_a_note_and_reported_as_silent_if_that_fails(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise Unreachable("The VM does not answer.", "port 2222")

    lab.known()
    monkeypatch.setattr(virtual_machine.Connection, "remember", lambda _, anew: None)
    monkeypatch.setattr(virtual_machine.Connection, "wait", silent)
    monkeypatch.setattr(rescue, "by_console", silent)
    notes = Notes()
    error = failure(lambda: lab.machine._found_running(notes))
    assert (type(error), error.detail) == (Unreachable, "port 2222")
    assert notes.notes == ["the guest is unresponsive: resetting it"]
