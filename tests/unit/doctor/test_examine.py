"""doctor looks, and changes nothing."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from selab.container.runtime import runtimes
from selab.doctor import examine as doctor
from selab.doctor.examine import Finding, State, guest_findings
from selab.errors import SelabError
from selab.guest import script
from selab.host import distribution
from selab.machine import MachineControl
from selab.policy.guest.load import policy_state
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from selab.policy.survey import survey
from selab.progress import Progress
from selab.project import Project
from selab.vm import kvm
from selab.vm.network import DETAILS, REMEDIES, Reach
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


@pytest.mark.parametrize(("enforcing", "mode"), [("0", "permissive"), ("1", "enforcing")])
def test_the_findings_about_a_guest_say_what_it_has(enforcing: str, mode: str) -> None:
    fake = FakeGuest()
    fake.answer(script("policy/guest/policy-state"), out=f"{enforcing} 7\n")
    fake.rules += guest().rules
    assert [(each.subject, each.detail) for each in guest_findings(fake)] == [
        ("SELinux", mode),
        ("base policy", f"default, {survey().of(guest()).fingerprint[:16]}, version 33"),
        ("audit", "auditd is process 400, 0 records lost since boot"),
        ("Docker", "sets SELinux labels"),
    ]


def test_what_a_guest_does_not_answer_is_bad_with_the_reason_and_the_hint() -> None:
    fake = FakeGuest()
    fake.answer(script("policy/guest/policy-state"), code=1, err="no SELinux")
    fake.rules += guest().rules
    with pytest.raises(SelabError) as raised:
        policy_state().of(fake)
    error = raised.value
    assert next(guest_findings(fake)) == Finding(
        "SELinux", State.BAD, f"{error.what} {error.detail}", error.hint
    )


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
    ("reach", "state"),
    [
        (Reach.CLOSED, State.OK),
        (Reach.OPEN, State.NOTE),
        (Reach.UNKNOWN, State.NOTE),
        (Reach.OUTSIDE, State.NOTE),
        (Reach.FOREIGN, State.NOTE),
    ],
)
def test_a_network_that_is_not_closed_is_a_note(reach: Reach, state: State) -> None:
    running, network, *_ = doctor._vm(cast(MachineControl, Running(reach)), Progress())
    assert running == Finding("VM", State.OK, "running")
    assert network == Finding("network", state, f"{reach}: {DETAILS[reach]}", REMEDIES.get(reach, ""))


def test_the_network_of_an_existing_host_is_no_finding() -> None:
    findings = list(doctor._vm(cast(MachineControl, Running("")), Progress()))
    assert [finding.subject for finding in findings] == ["VM", "SELinux", "base policy", "audit", "Docker"]


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
    assert (findings["libvirt"].state, findings["libvirt"].detail) == (State.BAD, "virsh is not installed")
    assert "dnf -y install libvirt-client`" in findings["libvirt"].remedy
    assert "dnf -y install checkpolicy m4 policycoreutils secilc`" in doctor._policy_tools().remedy


SILENT = Finding("libvirt", State.NOTE, "qemu:///x does not answer", "selab starts it if systemd does not.")


@pytest.mark.parametrize(
    ("code", "finding"),
    [(0, Finding("libvirt", State.OK, "qemu:///system")), (1, SILENT), (124, SILENT)],
)
def test_libvirt_that_does_not_answer_is_a_note(
    monkeypatch: pytest.MonkeyPatch, code: int, finding: Finding
) -> None:
    done = {("uri",): subprocess.CompletedProcess(["virsh"], code, "qemu:///system\n", "")}
    monkeypatch.setattr(doctor.libvirt, "virsh", lambda *words: done[words])
    monkeypatch.setattr(doctor.libvirt, "uri", lambda: "qemu:///x")
    assert doctor._libvirt() == finding


ELSEWHERE = Finding(
    "processor",
    State.BAD,
    "aarch64, and the boxes are for x86_64",
    "Use an existing machine: `box: host`, see docs/howto/hosts.md.",
)


@pytest.mark.parametrize("configured", ["virtualbox", "auto"])
@pytest.mark.parametrize(("machine", "findings"), [("x86_64", []), ("aarch64", [ELSEWHERE])])
def test_a_processor_that_cannot_run_the_boxes_is_bad(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configured: str,
    machine: str,
    findings: list[Finding],
) -> None:
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)
    monkeypatch.setattr(doctor, "default_provider", lambda: "virtualbox")
    only("vagrant", tmp_path)
    monkeypatch.setenv("PATH", only("VBoxManage", tmp_path))
    tools = Finding("VM tools", State.OK, "vagrant VBoxManage")
    assert list(doctor._virtualisation(configured, Progress())) == [*findings, tools]


@pytest.mark.parametrize(
    ("missing", "detail", "remedy"),
    [
        ([], "m4 checkmodule semodule_package secilc secil2tree: policy is compiled on this machine", ""),
        (["pp"], "missing: pp", "Policy is compiled in the guest, which takes longer."),
        (
            ["m4", "pp"],
            "missing: m4 pp",
            "Policy is compiled in the guest, which takes longer. To compile it here: Install ['m4'].",
        ),
    ],
)
def test_policy_tools_that_are_missing_are_a_note(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], detail: str, remedy: str
) -> None:
    monkeypatch.setattr(doctor, "missing_on_host", lambda: missing)
    monkeypatch.setattr(doctor, "how_to_install", lambda programs, packages: f"Install {programs}.")
    state = State.NOTE if missing else State.OK
    assert doctor._policy_tools() == Finding("policy tools", state, detail, remedy)


def test_qemu_of_el_is_no_missing_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", only("vagrant", tmp_path))
    monkeypatch.setattr(doctor.kvm, "QEMU_OF_EL", Path(only("qemu-kvm", tmp_path)) / "qemu-kvm")
    tools = next(each for each in doctor._virtualisation("libvirt", Progress()) if each.subject == "VM tools")
    assert tools.detail == "missing: qemu-img virsh"


BOX = "debian13-1/vmlinuz"
RULE = "`semanage fcontext -a -t virt_content_t '{boxes}(/.*)?'`"
REPAIR = "`restorecon -R -F {boxes}`"
REFUSED = "libvirt may refuse to boot a box from there. Run `script/setup` in a checkout, or as root: "
NO_RULE = "enforcing: the policy has no rule that gives {boxes} the type virt_content_t"


@dataclass(frozen=True)
class Labels:
    """SELinux on a machine with the directory of boxes.

    `mode`: what the kernel reports; "" if SELinux is off.
    `rule`: the type that the policy's rules give to boxes.
    `types`: the types of files below the directory, each of which exists; "" is the directory.
    """

    mode: str = "1"
    rule: str = "virt_content_t"
    types: dict[str, str] = field(default_factory=lambda: {"": "virt_content_t", BOX: "virt_content_t"})


def labels_found(labels: Labels, uid: int, cache: Path, patch: pytest.MonkeyPatch) -> list[Finding]:
    """Return what the doctor reports on a machine with `labels`."""
    patch.setenv("SELAB_CACHE", str(cache))
    patch.setattr(doctor.labels, "enforcing", lambda: labels.mode == "1" if labels.mode else None)
    patch.setattr(doctor.os, "geteuid", lambda: uid)
    by_rule = {cache / "boxes/any": labels.rule}
    patch.setattr(doctor.labels, "type_by_rules", by_rule.__getitem__)
    by_path = {cache / "boxes" / name: type_ for name, type_ in labels.types.items()}
    patch.setattr(doctor.labels, "type_of", by_path.__getitem__)
    for path in by_path:
        if path.name != "boxes":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    return list(doctor._labels())


@pytest.mark.parametrize(
    ("labels", "uid", "detail"),
    [
        (Labels(), 0, "enforcing: {boxes} has the type virt_content_t"),
        (Labels(types={}), 0, "enforcing: {boxes} has the type virt_content_t"),
        (Labels("0", "var_t"), 0, "permissive: it denies the VMs nothing"),
        (
            Labels(rule="cache_home_t"),
            1000,
            "enforcing: a plain user's libvirt labels the files of its VMs itself",
        ),
    ],
)
def test_selinux_on_this_machine_is_reported_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: Labels, uid: int, detail: str
) -> None:
    expected = Finding("SELinux (host)", State.OK, detail.format(boxes=tmp_path / "boxes"))
    assert labels_found(labels, uid, tmp_path, monkeypatch) == [expected]


def test_a_machine_without_selinux_has_no_finding_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labels_found(Labels(mode=""), 0, tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    ("labels", "detail", "commands"),
    [
        (Labels(rule="var_t", types={}), NO_RULE, RULE),
        (Labels(rule="var_t"), NO_RULE, f"{RULE} and {REPAIR}"),
        (Labels(rule=""), NO_RULE, f"{RULE} and {REPAIR}"),
        (
            Labels(types={"": "virt_content_t", BOX: "user_home_t"}),
            f"enforcing: {{boxes}}/{BOX} has the type user_home_t, not virt_content_t",
            REPAIR,
        ),
        (
            Labels(types={"": "var_t", BOX: "virt_content_t"}),
            "enforcing: {boxes} has the type var_t, not virt_content_t",
            REPAIR,
        ),
        (
            Labels(types={"": "virt_content_t", "debian13-1/initrd.img": ""}),
            "enforcing: {boxes}/debian13-1/initrd.img has the type unknown, not virt_content_t",
            REPAIR,
        ),
    ],
)
def test_a_wrong_label_of_the_boxes_is_a_note_with_the_commands_that_repair_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: Labels, detail: str, commands: str
) -> None:
    boxes = tmp_path / "boxes"
    remedy = REFUSED + commands.format(boxes=boxes)
    expected = Finding("SELinux (host)", State.NOTE, detail.format(boxes=boxes), remedy)
    assert labels_found(labels, 0, tmp_path, monkeypatch) == [expected]


SLOW = "The VM's processor is emulated: about ten times slower."


@pytest.mark.parametrize(
    ("works", "flags", "detail", "remedy"),
    [
        (True, {"vmx", "fpu"}, "a boot; the processor reports vmx", ""),
        (
            False,
            {"svm", "hypervisor"},
            "a boot; the processor reports svm, and this machine is a virtual machine",
            SLOW,
        ),
        (
            False,
            {"fpu"},
            "a boot; the processor reports neither vmx nor svm",
            f"{SLOW} Enable virtualisation in this machine's firmware, if you can.",
        ),
        (
            False,
            {"fpu", "hypervisor"},
            "a boot; the processor reports neither vmx nor svm, and this machine is a virtual machine",
            f"{SLOW} Enable virtualisation in the host of this virtual machine, if you can.",
        ),
        (False, set(), "a boot", SLOW),
    ],
)
def test_kvm_is_reported_with_what_the_processor_can_do(
    monkeypatch: pytest.MonkeyPatch, works: bool, flags: set[str], detail: str, remedy: str
) -> None:
    monkeypatch.setattr(doctor.kvm, "best_known", lambda: kvm.Kvm(works, "a boot"))
    monkeypatch.setattr(doctor.kvm, "processor_flags", lambda: frozenset(flags))
    state = State.OK if works else State.NOTE
    assert next(doctor._libvirt_and_kvm(Progress())) == Finding("KVM", state, detail, remedy)


def test_a_base_policy_with_every_name_of_the_risk_table_is_fine() -> None:
    assert doctor.risk_table(PolicyIndex(read_flat(centos_like.flat_base()))) == Finding(
        "risk table", State.OK, "fedora: the base policy has every type and attribute of it"
    )


def test_a_name_of_the_risk_table_that_matches_nothing_is_reported() -> None:
    flat = centos_like.flat_base().replace("systemd_unit_file_type", "another_type")
    finding = doctor.risk_table(PolicyIndex(read_flat(flat)))
    assert finding == Finding(
        "risk table",
        State.NOTE,
        "fedora: no type for systemd_unit_file_type",
        "selab rates no access to them. Check risk.toml if the policy has other names for them.",
    )


def test_the_doctor_examines_the_base_policy_at_hand(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = centos_like.write_base(tmp_path / "centos")
    monkeypatch.setattr(doctor, "find_base", lambda *_: base)
    monkeypatch.setattr(doctor, "machine_of", lambda of: {project.root: NoMachine()}[of.root])
    host, *others = doctor.examine(project)
    assert host == Finding("host", State.OK, f"{platform.system()} {platform.release()} {platform.machine()}")
    assert [finding.subject for finding in others] == ["policy tools", "risk table", "VM"]


def test_what_a_vm_needs_of_this_machine_is_examined_only_for_a_vm_of_selab(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = {name: Finding(name, State.OK, "") for name in ("_virtualisation", "_resources")}
    for name, finding in marks.items():
        monkeypatch.setattr(doctor, name, lambda *_, finding=finding: iter([finding]))
    monkeypatch.setattr(doctor, "find_base", lambda *_: None)
    for managed in (True, False):
        monkeypatch.setattr(doctor, "machine_of", lambda _, managed=managed: NoMachine(managed))
        findings = [each for each in doctor.examine(project) if each in marks.values()]
        assert findings == ([*marks.values()] if managed else [])


class NoMachine:
    """A machine that does not answer, by default that of `box: host`."""

    def __init__(self, managed: bool = False) -> None:
        self.managed = managed

    def status(self) -> str:
        return UNREACHABLE
