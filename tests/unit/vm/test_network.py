"""The network of the VM is closed, unless selab downloads something or the user opens it."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.guest import script
from selab.host.sealed import read_sealed, write_sealed
from selab.progress import Progress
from selab.vm import vagrantfile
from selab.vm.network import DETAILS, Network, Reach
from tests.unit.fakes import Notes

from .conftest import FakeVm, ProvisionedGuest

pytestmark = pytest.mark.program

RESTRICTED = "<qemu:arg value='user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22'/>"
UNRESTRICTED = RESTRICTED.replace("restrict=on,", "")


def network(lab: FakeVm) -> Network:
    return Network(lab.project, lab.machine.files)


def links(lab: FakeVm) -> tuple[str, str]:
    """The links of the running VM, and at its next start."""
    live, configured = ((lab.here / name).read_text().strip() for name in ("link", "link--config"))
    return live, configured


def record(lab: FakeVm, reach: str) -> None:
    known = lab.machine.files.remembered()
    assert known is not None
    lab.machine.files.remember(dataclasses.replace(known, network=reach))


def test_a_new_vm_has_no_link_to_the_outside(lab: FakeVm) -> None:
    lab.set_state("not_created")
    lab.machine.ensure(Progress())
    assert (links(lab), lab.machine.network()) == (("down", "down"), "closed")


def test_a_closed_network_is_not_looked_at_again(lab: FakeVm) -> None:
    lab.up_before()
    lab.machine.ensure(Progress())
    assert lab.calls("virsh") == []


@pytest.mark.parametrize("reach", ["unknown", "nonsense"])
def test_a_network_that_an_interrupted_selab_left_open_is_closed(lab: FakeVm, reach: str) -> None:
    lab.up_before()
    (lab.here / "link").write_text("up\n")
    record(lab, reach)
    lab.machine.ensure(Progress())
    assert (links(lab), lab.machine.network()) == (("down", "down"), "closed")


def test_a_record_of_an_older_selab_says_nothing_about_the_network(lab: FakeVm) -> None:
    lab.up_before()
    path = lab.project.state / "guest.json"
    stored = read_sealed(path)
    assert stored.pop("network") == "closed"
    write_sealed(path, stored)
    assert lab.machine.network() == "unknown"


def test_the_network_is_open_only_in_the_block(lab: FakeVm) -> None:
    lab.up_before()
    guest = lab.machine.connect()
    assert isinstance(guest, ProvisionedGuest)
    with lab.machine.online(guest, Progress()):
        assert (links(lab), lab.machine.network()) == (("up", "up"), "unknown")
    assert (links(lab), lab.machine.network()) == (("down", "down"), "closed")


def test_a_failure_in_the_block_closes_the_network(lab: FakeVm) -> None:
    lab.up_before()
    with pytest.raises(KeyboardInterrupt), lab.machine.online(lab.machine.connect(), Progress()):
        raise KeyboardInterrupt
    assert (links(lab), lab.machine.network()) == (("down", "down"), "closed")


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ({"domif-getlink": "52:54:00:00:00:01 up"}, "52:54:00:00:00:01 up"),
        ({"dumpxml": UNRESTRICTED, "define": ""}, "after a restart"),
    ],
    ids=["a link that does not go down", "a network that stays open after the restart"],
)
def test_a_network_that_cannot_be_closed_is_an_error_and_is_not_recorded_as_closed(
    lab: FakeVm, answers: dict[str, str], detail: str
) -> None:
    lab.up_before()
    record(lab, "unknown")
    for word, output in answers.items():
        lab.virsh(word, output)
    with pytest.raises(SelabError, match="could not be closed") as caught:
        lab.machine.ensure(Progress())
    assert detail in caught.value.detail
    assert lab.machine.network() == "unknown"


def test_interfaces_that_cannot_be_listed_are_an_error(lab: FakeVm) -> None:
    lab.up_before()
    record(lab, "unknown")
    lab.virsh("domiflist", "")
    with pytest.raises(SelabError, match="could not be closed"):
        lab.machine.ensure(Progress())


def test_a_vm_of_an_older_selab_is_restarted_once_with_a_restricted_network(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up_before()
    record(lab, "unknown")
    lab.virsh("dumpxml", UNRESTRICTED)
    definitions: list[str] = []

    def define(definition: str, what: str) -> None:
        definitions.append(definition.strip())
        lab.virsh("dumpxml", definition)

    monkeypatch.setattr("selab.vm.libvirt._define", define)
    lab.machine.ensure(Progress())
    assert "restrict=on" in definitions[0] and len(definitions) == 1
    assert [word for word in lab.calls() if word in ("halt", "up")] == ["halt", "up"]
    assert lab.machine.network() == "closed"


def test_the_user_opens_and_closes_the_network(lab: FakeVm) -> None:
    lab.up_before()
    lab.machine.set_network("open", Progress())
    assert (links(lab), lab.machine.network()) == (("up", "up"), "open")
    notes = Notes()
    lab.machine.ensure(notes)
    assert [note for note in notes.notes if "`selab vm network closed`" in note]
    lab.machine.set_network("closed", Progress())
    assert (links(lab), lab.machine.network()) == (("down", "down"), "closed")


def test_a_network_that_the_user_opened_is_open_after_a_restart_of_the_vm(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up_before()
    lab.machine.set_network("open", Progress())
    lab.machine.files.known_hosts.unlink()
    lab.set_state("shutoff")
    lab.machine.ensure(Progress())
    assert (links(lab), lab.machine.network()) == (("up", "up"), "open")


def test_an_open_network_is_not_closed_by_a_download(lab: FakeVm) -> None:
    lab.up_before()
    lab.machine.set_network("open", Progress())
    with lab.machine.online(lab.machine.connect(), Progress()):
        pass
    assert lab.machine.network() == "open"


def test_the_users_own_vagrantfile_is_reported_once_and_cannot_be_changed(lab: FakeVm) -> None:
    lab.up_before()
    (lab.project.vagrant_dir / "Vagrantfile").write_text('Vagrant.configure("2") {}\n')
    record(lab, "unknown")
    notes = Notes()
    lab.machine.ensure(notes)
    lab.machine.ensure(notes)
    assert len([note for note in notes.notes if DETAILS[Reach.FOREIGN] in note]) == 1
    assert lab.machine.network() == "foreign"
    with pytest.raises(SelabError, match="cannot open or close"):
        lab.machine.set_network("closed", Progress())


def test_an_interface_of_another_kind_is_reported(lab: FakeVm) -> None:
    lab.up_before()
    record(lab, "unknown")
    lab.virsh("domiflist", " vnet0 bridge br0 virtio 52:54:00:00:00:02")
    lab.machine.ensure(Progress())
    assert lab.machine.network() == "foreign"


@pytest.mark.parametrize(("closes", "reach"), [(True, "outside"), (False, "foreign")])
def test_virtualbox_closes_the_loopback_only(lab: FakeVm, closes: bool, reach: str) -> None:
    lab.up_before()
    files = lab.machine.files
    known, parameters = files.remembered(), files.vagrant_parameters()
    assert known is not None and parameters is not None
    files.remember(dataclasses.replace(known, provider="virtualbox", network="unknown"))
    files.keep_vagrant_parameters(dataclasses.replace(parameters, close_loopback=closes))
    assert network(lab).secure(Progress())
    assert network(lab).reach == reach


def test_a_guest_without_a_route_still_gets_its_download(
    lab: FakeVm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab.up_before()
    guest = lab.machine.connect()
    assert isinstance(guest, ProvisionedGuest)
    guest.code = 1
    with lab.machine.online(guest, Progress()):
        pass
    assert "no route" in caplog.text


def test_a_vm_that_was_never_reached_has_an_unknown_network(lab: FakeVm) -> None:
    assert lab.machine.network() == "unknown"
    with pytest.raises(SelabError, match="cannot be changed"):
        network(lab)._record(Reach.CLOSED)


@pytest.fixture
def guest_programs(tmp_path: Path) -> Path:
    """Programs of a guest. Each question for the time adds two seconds; nmcli gives the guest its route."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name, text in {
        "date": 'n=$(cat now 2>/dev/null || echo 100); echo $((n + 2)) >now; echo "$n"',
        "sleep": "",
        "ip": "cat route 2>/dev/null || true",
        "nmcli": 'echo "$*" >>calls; echo default via 10.0.2.2 >route',
    }.items():
        (directory / name).write_text(f"#!/bin/sh\ncd '{tmp_path}' || exit\n{text}\n")
        (directory / name).chmod(0o755)
    return directory


def awaited(programs: Path, *addresses: str) -> int:
    done = subprocess.run(
        ["sh", "-c", script("vm/await-network"), "sh", "20", *addresses],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        timeout=60,
        capture_output=True,
    )
    assert done.stderr == b""
    return done.returncode


def test_a_route_that_the_guest_has_is_not_waited_for(guest_programs: Path) -> None:
    (guest_programs.parent / "route").write_text("default via 10.0.2.2\n")
    assert awaited(guest_programs) == 0
    assert not (guest_programs.parent / "calls").exists()


def test_networkmanager_connects_the_outer_interface_that_the_box_leaves_alone(guest_programs: Path) -> None:
    loopback = Path("/sys/class/net/lo/address").read_text().strip()
    assert awaited(guest_programs, "52:54:00:00:00:01", loopback) == 0
    assert (guest_programs.parent / "calls").read_text() == "-w 10 device connect lo\n"


def test_a_guest_that_gets_no_route_ends_the_wait(guest_programs: Path) -> None:
    assert awaited(guest_programs, "52:54:00:00:00:01") == 1
    assert not (guest_programs.parent / "calls").exists()


@pytest.mark.parametrize("link", [False, True])
def test_an_older_vagrantfile_of_selab_is_replaced_unless_it_is_a_link(
    lab: FakeVm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    older = b"# an older SELAB_VM\n"
    monkeypatch.setattr(vagrantfile, "OLDER", {vagrantfile.hashlib.sha256(older).hexdigest()})
    place = lab.project.vagrant_dir / "Vagrantfile"
    target = tmp_path / "target" if link else place
    target.write_bytes(older)
    if link:
        place.symlink_to(target)
    notes = Notes()
    vagrantfile.place(lab.project, notes)
    assert target.read_bytes() == (older if link else vagrantfile.shipped())
    assert len(notes.notes) == (0 if link else 1)


def test_the_current_vagrantfile_is_not_an_older_one() -> None:
    digest = vagrantfile.hashlib.sha256(vagrantfile.shipped()).hexdigest()
    assert digest not in vagrantfile.OLDER
