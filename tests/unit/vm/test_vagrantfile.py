"""The Vagrantfile of a project, and the parameters that selab passes to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.machine import VagrantParameters
from selab.progress import Progress
from selab.project import Project, VmConfig
from selab.vm import kvm, vagrantfile
from selab.vm.boxes import Choice
from selab.vm.kvm import Kvm
from selab.vm.vagrantfile import EMULATED, has_kernel, is_ours, parameters, place, shipped
from tests.unit.fakes import Notes

BUILT = Choice(
    "debian13", "selab-debian13-1", "", kernel="/b/vmlinuz", initrd="/b/initrd.img", cmdline="quiet"
)
LOADED = Choice("centos9", "centos/9", "https://box.test/9.box", "5" * 64, cpu=("popcnt",), agent=True)


@pytest.fixture(autouse=True)
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The kernels with which KVM was probed; it works."""
    kernels: list[Path | None] = []

    def probe(kernel: Path | None = None) -> Kvm:
        kernels.append(kernel)
        return Kvm(True, "")

    monkeypatch.setattr(kvm, "probe", probe)
    monkeypatch.setattr(vagrantfile, "free_port", lambda name: 2299)
    return kernels


@pytest.fixture
def no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "probe", lambda kernel=None: Kvm(False, "the probe kernel hung"))


def made(box: Choice, provider: str = "libvirt", progress: Progress | None = None) -> VagrantParameters:
    return parameters(box, provider, "lab", VmConfig(cpus=3, memory=4096), progress or Progress())


def test_the_settings_of_the_project_reach_the_vm() -> None:
    vm = made(BUILT)
    assert (vm.name, vm.provider, vm.cpus, vm.memory, vm.port) == ("lab", "libvirt", 3, 4096, 2299)


@pytest.mark.parametrize(("user", "session"), [(0, False), (1000, True)])
def test_a_plain_users_vm_is_run_by_the_session_daemon(
    monkeypatch: pytest.MonkeyPatch, user: int, session: bool
) -> None:
    monkeypatch.setattr(vagrantfile.os, "geteuid", lambda: user)
    assert made(BUILT).session is session


def test_a_box_by_url_has_its_checksum_for_the_provider_and_boots_its_own_kernel() -> None:
    vm = made(LOADED, "virtualbox")
    assert vm.urls == {"virtualbox": LOADED.url} and vm.checksums == {"virtualbox": LOADED.sha256}
    assert (vm.kernel, vm.initrd, vm.cmdline) == (None, None, None)
    assert (vm.cpu_features, vm.agent) == (["popcnt"], True)


def test_a_built_box_boots_from_its_kernel_with_which_kvm_is_probed(probed: list[Path | None]) -> None:
    vm = made(BUILT)
    assert (vm.kernel, vm.initrd, vm.cmdline, vm.urls) == ("/b/vmlinuz", "/b/initrd.img", "quiet", {})
    assert (vm.accel, probed) == ("kvm", [Path("/b/vmlinuz")])


@pytest.mark.usefixtures("no_kvm")
def test_without_kvm_the_cpu_is_emulated_and_the_reason_is_noted() -> None:
    notes = Notes()
    vm = made(BUILT, progress=notes)
    assert (vm.accel, vm.cmdline) == ("qemu", f"quiet {EMULATED}")
    assert any("the probe kernel hung" in note for note in notes.notes)


def test_virtualbox_needs_no_probe_of_kvm(probed: list[Path | None]) -> None:
    assert made(LOADED, "virtualbox").accel == "kvm"
    assert probed == []


def test_a_kernel_that_was_removed_is_noticed(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinuz"
    vm = VagrantParameters(kernel=str(kernel))
    assert not has_kernel(vm)
    kernel.touch()
    assert has_kernel(vm)
    assert has_kernel(VagrantParameters())


def test_selabs_vagrantfile_is_written_and_recognised(project: Project) -> None:
    notes = Notes()
    place(project, notes)
    assert (project.root / "Vagrantfile").read_bytes() == shipped()
    assert is_ours(project)
    (note,) = notes.notes
    assert str(project.root / "Vagrantfile") in note


def test_the_users_own_vagrantfile_stays_and_is_not_selabs(project: Project, tmp_path: Path) -> None:
    directory = tmp_path / "vagrant"
    directory.mkdir()
    (directory / "Vagrantfile").write_text('Vagrant.configure("2") {}\n')
    own = replace(project, vagrant_dir=directory)
    place(own, Progress())
    assert (directory / "Vagrantfile").read_text() == 'Vagrant.configure("2") {}\n'
    assert not is_ours(own)


def test_no_vagrantfile_is_written_through_a_link(project: Project, tmp_path: Path) -> None:
    (project.vagrant_dir / "Vagrantfile").symlink_to(tmp_path / "outside")
    with pytest.raises(SelabError, match="a link to nothing"):
        place(project, Progress())
    assert not (tmp_path / "outside").exists()
