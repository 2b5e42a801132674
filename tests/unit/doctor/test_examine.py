"""doctor looks, and changes nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import pytest

from selab.container.runtime import runtimes
from selab.doctor import examine as doctor
from selab.doctor.examine import State, guest_findings
from selab.guest import script
from selab.host import distribution
from selab.machine import MachineControl
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from selab.progress import Progress
from selab.project import Project
from selab.vm import kvm
from selab.vm.select import UNREACHABLE
from tests import centos_like
from tests.unit.fakes import FakeGuest
from tests.unit.host.os_release import OS_RELEASE


def guest(pid: int = 400) -> FakeGuest:
    fake = FakeGuest()
    fake.answer("auditctl -s", out=f"enabled 1\npid {pid}\nlost 0\n")
    fake.answer(script("policy/guest/policy-state"), out="0 7\n")
    fake.answer(
        script("policy/survey"),
        out="type default\npolicyvers 33\nmls 1\nexpand 0\nstore\nseen\nabc  modules/100/base/cil\n",
    )
    for name in runtimes():
        fake.answer(script("container/has-program"), f" {name}", code=0 if name == "docker" else 1)
    fake.answer("docker info", out='["name=selinux"]\n')
    return fake


def test_a_guest_that_has_everything_is_fine() -> None:
    assert {finding.state for finding in guest_findings(guest())} == {State.OK}


def test_no_mark_is_set_and_no_limit_changed() -> None:
    fake = guest(pid=0)
    list(guest_findings(fake))
    assert not any(
        "auditctl -m" in word or "printk_ratelimit" in word for argv in fake.commands for word in argv
    )


class Running:
    """A VM that answers, whose guest reaches `reach`."""

    def __init__(self, reach: str) -> None:
        self.reach = reach

    def status(self) -> str:
        return "running"

    def network(self) -> str:
        return self.reach

    def connect(self) -> FakeGuest:
        return guest()


@pytest.mark.parametrize(
    ("reach", "state", "remedy"),
    [
        ("closed", State.OK, ""),
        ("open", State.NOTE, "selab vm network closed"),
        ("unknown", State.NOTE, "selab run"),
        ("outside", State.NOTE, ""),
        ("foreign", State.NOTE, "docs/explanation/network.md"),
    ],
)
def test_a_network_that_is_not_closed_is_a_note(reach: str, state: State, remedy: str) -> None:
    findings = list(doctor._vm(cast(MachineControl, Running(reach)), Progress()))
    (finding,) = [finding for finding in findings if finding.subject == "network"]
    assert finding.state is state and finding.detail.startswith(f"{reach}: ")
    assert remedy in finding.remedy


def test_the_network_of_an_existing_host_is_no_finding() -> None:
    findings = list(doctor._vm(cast(MachineControl, Running("")), Progress()))
    assert "network" not in [finding.subject for finding in findings]


# --- this machine ---------------------------------------------------------------------------------


def only(program: str, directory: Path) -> str:
    """A PATH whose only program is `program`, which prints nothing."""
    (directory / program).write_text("#!/bin/sh\n")
    (directory / program).chmod(0o755)
    return str(directory)


def test_missing_programs_are_named_with_this_systems_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", only("vagrant", tmp_path))
    (tmp_path / "os-release").write_text(OS_RELEASE["fedora43"][0])
    monkeypatch.setattr(distribution, "OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(doctor.kvm, "QEMU_OF_EL", tmp_path / "qemu-kvm")
    findings = {finding.subject: finding for finding in doctor._virtualisation("libvirt", Progress())}
    tools = findings["VM tools"]
    assert (tools.state, tools.detail) == (State.BAD, "missing: qemu-system-x86_64 qemu-img virsh")
    assert "dnf -y install libvirt-client qemu-img qemu-system-x86`" in tools.remedy
    assert "dnf -y install libvirt-client`" in findings["libvirt"].remedy
    assert "dnf -y install checkpolicy m4 policycoreutils secilc`" in doctor._policy_tools().remedy


@pytest.mark.parametrize(
    ("code", "state"), [(0, State.OK), (1, State.NOTE), (124, State.NOTE), (127, State.BAD)]
)
def test_libvirt_without_virsh_is_bad_and_without_an_answer_a_note(
    monkeypatch: pytest.MonkeyPatch, code: int, state: State
) -> None:
    done = subprocess.CompletedProcess(["virsh"], code, "qemu:///system\n", "")
    monkeypatch.setattr(doctor.libvirt, "virsh", lambda *words: done)
    assert doctor._libvirt().state is state


@pytest.mark.parametrize(("machine", "states"), [("x86_64", []), ("aarch64", [State.BAD])])
def test_a_processor_that_cannot_run_the_boxes_is_bad(
    monkeypatch: pytest.MonkeyPatch, machine: str, states: list[State]
) -> None:
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)
    findings = list(doctor._virtualisation("virtualbox", Progress()))
    assert [each.state for each in findings if each.subject == "processor"] == states


def test_qemu_of_el_is_no_missing_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", only("vagrant", tmp_path))
    monkeypatch.setattr(doctor.kvm, "QEMU_OF_EL", Path(only("qemu-kvm", tmp_path)) / "qemu-kvm")
    tools = next(each for each in doctor._virtualisation("libvirt", Progress()) if each.subject == "VM tools")
    assert tools.detail == "missing: qemu-img virsh"


@pytest.mark.parametrize(
    ("mode", "uid", "label", "states"),
    [
        ("1", 0, "system_u:object_r:virt_image_t:s0", [State.OK]),
        ("1", 0, "system_u:object_r:var_t:s0", [State.NOTE]),
        ("0", 0, "system_u:object_r:var_t:s0", []),
        ("1", 1000, "system_u:object_r:var_t:s0", []),
        (None, 0, "system_u:object_r:var_t:s0", []),
    ],
)
def test_labels_of_the_cache_matter_to_root_if_selinux_is_enforcing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str | None,
    uid: int,
    label: str,
    states: list[State],
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SELAB_CACHE", str(cache))
    monkeypatch.setattr(doctor, "SELINUX_MODE", tmp_path / "enforce")
    monkeypatch.setattr(doctor.os, "geteuid", lambda: uid)
    (tmp_path / "matchpathcon").write_text(f'#!/bin/sh\n[ "$*" = "-n {cache}/box" ] && echo {label}\n')
    (tmp_path / "matchpathcon").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if mode is not None:
        (tmp_path / "enforce").write_text(mode)
    findings = list(doctor._labels())
    assert [finding.state for finding in findings] == states
    assert all(("semanage" in each.remedy) is (each.state is State.NOTE) for each in findings)


NESTED = "the host of this virtual machine"


@pytest.mark.parametrize(
    ("works", "flags", "state", "words", "absent"),
    [
        (True, {"vmx"}, State.OK, ["booted", "vmx"], ["firmware", "virtual machine"]),
        (
            False,
            {"svm", "hypervisor"},
            State.NOTE,
            ["booted", "svm", "virtual machine"],
            ["firmware", NESTED],
        ),
        (False, {"fpu"}, State.NOTE, ["neither vmx nor svm", "firmware"], ["virtual machine"]),
        (False, {"fpu", "hypervisor"}, State.NOTE, ["neither vmx nor svm", NESTED], ["firmware"]),
        (False, set(), State.NOTE, ["booted"], ["reports", "firmware"]),
    ],
)
def test_kvm_is_reported_with_what_the_processor_can_do(
    monkeypatch: pytest.MonkeyPatch,
    works: bool,
    flags: set[str],
    state: State,
    words: list[str],
    absent: list[str],
) -> None:
    monkeypatch.setattr(doctor.kvm, "best_known", lambda: kvm.Kvm(works, "a kernel booted or not"))
    monkeypatch.setattr(doctor.kvm, "processor_flags", lambda: frozenset(flags))
    finding = next(doctor._libvirt_and_kvm(Progress()))
    text = f"{finding.detail} {finding.remedy}"
    assert (finding.subject, finding.state) == ("KVM", state)
    assert [word for word in words if word not in text] == []
    assert [word for word in absent if word in text] == []


def test_a_base_policy_with_every_name_of_the_risk_table_is_fine() -> None:
    assert doctor.risk_table(PolicyIndex(read_flat(centos_like.flat_base()))).state is State.OK


def test_a_name_of_the_risk_table_that_matches_nothing_is_reported() -> None:
    flat = centos_like.flat_base().replace("systemd_unit_file_type", "another_type")
    finding = doctor.risk_table(PolicyIndex(read_flat(flat)))
    assert (finding.state, "systemd_unit_file_type" in finding.detail) == (State.NOTE, True)


def test_the_doctor_examines_the_base_policy_at_hand(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = centos_like.write_base(tmp_path / "centos")
    monkeypatch.setattr(doctor, "find_base", lambda *_: base)
    monkeypatch.setattr(doctor, "machine_of", lambda _: NoMachine())
    assert "risk table" in {finding.subject for finding in doctor.examine(project)}


class NoMachine:
    """A machine of `box: host` that does not answer."""

    managed = False

    def status(self) -> str:
        return UNREACHABLE
