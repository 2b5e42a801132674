"""What Vagrant needs to know about the VM is restored if it was removed."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.vm import boxes
from selab.vm.ssh_port import free_port

from .conftest import FakeVm

pytestmark = pytest.mark.program


def parameters(lab: FakeVm) -> VagrantParameters:
    stored = lab.machine.files.vagrant_parameters()
    assert stored is not None
    return stored


def test_a_port_that_was_taken_meanwhile_is_replaced(lab: FakeVm) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("me", port) != port
        lab.set_state("shutoff")
        lab.virsh("dumpxml", f"<qemu:arg value='user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22'/>")
        lab.virsh("define", "")
        lab.machine.files.keep_vagrant_parameters(VagrantParameters(port=port, provider="libvirt"))
        lab.machine.ensure(Progress())
        assert parameters(lab).port != port
    assert "define" in lab.calls("virsh")


def test_a_vm_that_vagrant_forgot_is_taken_back(lab: FakeVm) -> None:
    lab.up_before()
    lab.machine.files.known_hosts.unlink()
    lab.set_state("not_created")
    lab.virsh("domuuid", "1234-5678")
    lab.machine.ensure(Progress())
    assert (lab.project.vagrant_dir / ".vagrant/machines/default/libvirt/id").read_text() == "1234-5678"


def test_what_vagrant_was_told_is_told_again_with_the_vms_own_port(lab: FakeVm) -> None:
    lab.up_before()
    shutil.rmtree(lab.project.state)
    lab.virsh("dumpxml", "<qemu:arg value='user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:2299-:22'/>")
    lab.machine.ensure(Progress())
    assert parameters(lab).port == 2299


def test_truncated_parameters_are_not_left_for_vagrant(lab: FakeVm) -> None:
    """Even if its copy is truncated too: Vagrant would read it, and fail."""
    lab.up_before()
    files = lab.machine.files
    for name in ("vm.json", "vm.kept.json"):
        (lab.project.state / name).write_text('{"name": "sel')
    assert files.vagrant_parameters() is None and not files.parameters.exists()


def without_kernel(lab: FakeVm) -> Path:
    """A VM that is off, made to boot a kernel which is not there any more."""
    kernel = lab.here / "boxes" / "vmlinuz"
    lab.up_before()
    lab.machine.files.keep_vagrant_parameters(dataclasses.replace(parameters(lab), kernel=str(kernel)))
    lab.machine.files.known_hosts.unlink()
    lab.set_state("shutoff")
    return kernel


def test_a_box_that_was_removed_is_made_again_for_its_kernel(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, choose = without_kernel(lab), boxes.choose

    def made(*arguments: Any) -> boxes.Choice:
        kernel.parent.mkdir()
        kernel.touch()
        return choose(*arguments)

    monkeypatch.setattr(boxes, "choose", made)
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "up", "ssh-config"]


def test_a_kernel_that_no_box_has_any_more_is_explained(lab: FakeVm) -> None:
    without_kernel(lab)
    with pytest.raises(SelabError, match="its kernel was removed"):
        lab.machine.ensure(Progress())
    assert lab.calls() == ["status"]


OTHER = "11111111-2222-3333-4444-555555555555"


def pull(lab: FakeVm, provider: str = "libvirt") -> None:
    """Put an id into the `.vagrant` that selab made, as `git pull` may."""
    path = lab.project.vagrant_dir / ".vagrant/machines/default" / provider / "id"
    path.parent.mkdir(parents=True)
    path.write_text(OTHER)


@pytest.mark.parametrize("action", ["suspend", "halt", "destroy"])
def test_vagrant_does_not_act_on_the_domain_of_another_project(lab: FakeVm, action: str) -> None:
    lab.up_before()
    pull(lab)
    lab.virsh("domname", "selab-other-12345678_default")
    with pytest.raises(SelabError, match="not this project's"):
        getattr(lab.machine, action)(Progress())
    assert not (lab.here / "calls").exists() or action not in lab.calls()


def test_vagrant_does_not_act_on_a_vm_of_another_provider(lab: FakeVm) -> None:
    lab.up_before()
    pull(lab, "virtualbox")
    with pytest.raises(SelabError, match="not this project's"):
        lab.machine.halt(Progress())


@pytest.mark.parametrize("is_there", [True, False])
def test_vagrant_acts_on_the_domain_of_this_project(lab: FakeVm, is_there: bool) -> None:
    """Also if it was removed, which Vagrant finds out."""
    lab.up_before()
    pull(lab)
    if is_there:
        lab.virsh("domname", lab.machine.files.domain_name)
    lab.machine.halt(Progress())
    assert "halt" in lab.calls()


def test_the_domain_of_a_project_that_was_moved_is_its_own(lab: FakeVm) -> None:
    lab.up_before()
    pull(lab)
    lab.virsh("domname", lab.machine.files.domain_name)
    lab.project.root.rename(lab.here / "moved")
    moved = dataclasses.replace(lab.project, root=lab.here / "moved", vagrant_dir=lab.here / "moved")
    FakeVm(lab.here, moved).machine.halt(Progress())
    assert "halt" in lab.calls()


def test_the_domain_of_a_vagrantfile_of_the_user_may_have_any_name(lab: FakeVm) -> None:
    lab.up_before()
    pull(lab)
    (lab.project.vagrant_dir / "Vagrantfile").write_text("# of the user\n")
    lab.virsh("domname", "web")
    lab.machine.halt(Progress())
    assert "halt" in lab.calls()
