"""What the commands of `selab vm` do with a VM that was reached before."""

from __future__ import annotations

import contextlib

import pytest

from selab.errors import SelabError
from selab.progress import Progress
from selab.vm import libvirt, provision, vagrantfile, virtual_machine
from selab.vm.ssh_login import LOGIN_TIMEOUT

from .conftest import DOMAIN, FakeVm, ProvisionedGuest


@pytest.mark.parametrize("state", ["not_created", "shutoff"])
def test_the_status_of_a_vm_that_does_not_answer_is_vagrants(lab: FakeVm, state: str) -> None:
    assert (lab.machine.status(), lab.calls()) == ("not_created", [])  # no Vagrantfile yet
    vagrantfile.place(lab.project, Progress())
    lab.set_state(state)
    assert (lab.machine.status(), lab.calls()) == (state, ["status"])


def test_the_status_of_a_vm_that_answers_needs_no_vagrant(lab: FakeVm) -> None:
    lab.known()
    assert (lab.machine.status(), lab.calls()) == ("running", [])


def test_the_location_is_that_of_the_last_login(lab: FakeVm) -> None:
    assert lab.machine.location() == ""
    lab.known()
    assert lab.machine.location() == str(lab.machine.files.address())


@pytest.mark.parametrize("action", ["halt", "suspend"])
def test_a_vm_is_halted_and_suspended_by_vagrant(lab: FakeVm, action: str) -> None:
    lab.known()
    getattr(lab.machine, action)(Progress())
    assert lab.calls() == [action]
    assert lab.machine.files.remembered() is not None


def test_a_vm_that_vagrant_forgot_is_destroyed_as_well(lab: FakeVm) -> None:
    lab.known()
    lab.set_state("not_created")
    lab.virsh("domuuid", DOMAIN)
    lab.machine.destroy(Progress())
    assert lab.calls() == ["status", "destroy"]
    assert lab.machine.files.vagrants_domain == DOMAIN


def test_the_serial_console_is_that_of_the_libvirt_vm(lab: FakeVm) -> None:
    lab.known()
    program, *words = lab.machine.console_command()
    assert program == str(lab.here / "bin" / "virsh")
    assert words == ["-c", libvirt.uri(), "console", "--force", DOMAIN]


def test_without_virsh_there_is_no_serial_console(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    monkeypatch.setattr(virtual_machine.shutil, "which", lambda name: None)
    with pytest.raises(SelabError, match="serial console"):
        lab.machine.console_command()


@pytest.mark.parametrize("client", ["/usr/bin/ssh", None])
def test_a_shell_needs_an_ssh_client(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, client: str | None
) -> None:
    lab.known()
    started: list[list[str]] = []
    monkeypatch.setattr(virtual_machine.shutil, "which", lambda name: client)
    monkeypatch.setattr(virtual_machine.subprocess, "run", started.append)
    with contextlib.nullcontext() if client else pytest.raises(SelabError, match="No ssh client"):
        lab.machine.shell()
    address = lab.machine.files.address()
    assert address is not None
    assert started == ([virtual_machine.interactive(address)] if client else [])


def test_a_step_that_was_applied_is_recorded(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.known()
    monkeypatch.setattr(provision, "provision", lambda guest, progress, online: ["Docker"])
    assert (lab.machine.prepare(Progress()), lab.machine.applied()) == (["Docker"], ["Docker"])


def test_a_runtime_that_is_installed_later_is_recorded(lab: FakeVm) -> None:
    lab.known()
    guest = lab.machine.connect(LOGIN_TIMEOUT)
    assert isinstance(guest, ProvisionedGuest)
    steps = provision.runtime_steps("apt", "podman")
    guest.probes = ["missing"] * len(steps)
    lab.machine.ensure_runtime(guest, "podman", Progress())
    assert lab.machine.applied() == [step.name for step in steps]
