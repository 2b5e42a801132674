"""Every state of the VM has one answer."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from selab.errors import SelabError, Unreachable
from selab.progress import Progress
from selab.vm import vagrant, virtual_machine

from .conftest import FakeVm, ProvisionedGuest

pytestmark = pytest.mark.program


def silent(*_: Any, **__: Any) -> None:
    raise Unreachable("no answer")


def test_a_warm_vm_needs_no_vagrant_and_no_virsh(lab: FakeVm) -> None:
    lab.up_before()
    lab.machine.ensure(Progress())
    assert lab.calls() == []
    assert lab.calls("virsh") == []


def test_no_vm_is_created_from_the_box_that_was_chosen(lab: FakeVm) -> None:
    lab.set_state("not_created")
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "up", "ssh-config"]
    stored = json.loads(lab.machine.files.parameters.read_text())
    assert stored["urls"] == {"libvirt": (lab.here / "own.box").as_uri()}
    assert stored["accel"] == "qemu"
    assert stored["memory"] == 2048
    assert "kernel" not in stored
    assert (lab.project.vagrant_dir / "Vagrantfile").read_text().count("SELAB_VM") == 1


def test_a_vm_whose_key_was_removed_is_replaced(lab: FakeVm) -> None:
    """`.vagrant` and `.selab` were removed, and the domain of this project still has the name."""
    lab.set_state("not_created")
    lab.virsh("domuuid", "7f9b4d3e-0000-4000-8000-000000000001")
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "destroy", "up", "ssh-config"]


def test_the_vm_that_is_replaced_is_the_one_of_this_project(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.set_state("not_created")
    lab.virsh("domuuid", "7f9b4d3e-0000-4000-8000-000000000001")
    monkeypatch.setattr(vagrant.Vagrant, "destroy", lambda *_: lab.machine.files.vagrants_domain)
    lab.machine.ensure(Progress())
    assert f"virsh domuuid {lab.machine.files.domain_name}" in (lab.here / "calls").read_text()
    assert lab.machine.files.vagrants_domain == "7f9b4d3e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("state", "word"),
    [("paused", "resume"), ("saved", "resume"), ("shutoff", "up"), ("poweroff", "up"), ("aborted", "up")],
)
def test_a_vm_that_is_down_is_taken_up_again(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, state: str, word: str
) -> None:
    lab.up_before()
    lab.set_state(state)
    tries = itertools.chain([silent], itertools.repeat(lambda address, **_: ProvisionedGuest(address)))
    monkeypatch.setattr(virtual_machine.SshGuest, "connect", lambda *a, **k: next(tries)(*a, **k))
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", word, "ssh-config"]


@pytest.mark.parametrize(("state", "says"), [("preparing", "busy"), ("gone_strange", "does not change")])
def test_other_states_are_explained_and_nothing_is_done(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, state: str, says: str
) -> None:
    lab.up_before()
    lab.set_state(state)
    monkeypatch.setattr(virtual_machine.SshGuest, "connect", silent)
    with pytest.raises(SelabError, match=says) as caught:
        lab.machine.ensure(Progress())
    assert lab.calls() == ["status"]
    assert len(str(caught.value).splitlines()) <= 3


def test_a_locked_vm_is_explained(lab: FakeVm) -> None:
    lab.set_state("shutoff")
    lab.fail(
        "up",
        (
            "An action 'up' was attempted on the machine 'default',\n"
            "but another process is already executing an action on the machine."
        ),
    )
    with pytest.raises(SelabError, match="Another Vagrant process"):
        lab.machine.ensure(Progress())
    assert "destroy" not in lab.calls()


def test_a_first_creation_that_fails_removes_what_it_made(lab: FakeVm) -> None:
    lab.set_state("not_created")
    lab.fail("up", "==> default: Booting\nThe machine exploded.")
    with pytest.raises(SelabError, match=r"exit code 1: The machine exploded\."):
        lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "up", "destroy"]


def test_the_disk_of_a_vm_that_was_removed_by_hand_blocks_no_new_vm(lab: FakeVm) -> None:
    lab.set_state("not_created")
    lab.virsh("vol-info", "Name: x")
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "destroy", "up", "ssh-config"]


def test_a_start_that_fails_removes_nothing(lab: FakeVm) -> None:
    lab.set_state("shutoff")
    lab.fail("up", "no")
    with pytest.raises(SelabError):
        lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "up"]


def test_the_users_own_vagrantfile_stays(lab: FakeVm) -> None:
    lab.set_state("not_created")
    own = lab.project.vagrant_dir / "Vagrantfile"
    own.write_text("# mine")
    lab.machine.ensure(Progress())
    assert own.read_text() == "# mine"
    assert not lab.machine.files.parameters.exists()


def test_a_guest_that_boots_is_waited_for(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a selab that was killed while Vagrant made the VM."""
    lab.set_state("running")
    lab.fail("ssh-config", "The provider is reporting that it is not yet ready for SSH.", once=True)
    monkeypatch.setattr(vagrant, "RETRY", 0.0)
    lab.machine.ensure(Progress())
    assert lab.calls() == ["status", "ssh-config", "ssh-config"]


def test_a_guest_that_never_boots_is_explained(lab: FakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.set_state("running")
    lab.fail("ssh-config", "The provider is reporting that it is not yet ready for SSH.")
    monkeypatch.setattr(vagrant, "BOOT_LIMIT", 0.0)
    with pytest.raises(SelabError, match="not ready for a login"):
        lab.machine.ensure(Progress())


def test_destroy_forgets_everything(lab: FakeVm) -> None:
    lab.up_before()
    files = lab.machine.files
    lab.machine.destroy(Progress())
    assert files.remembered() is None
    assert not files.known_hosts.exists() and not files.parameters.exists() and not files.key.exists()
