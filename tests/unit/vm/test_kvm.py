"""Whether KVM works, with a fake QEMU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.host.cache import cache_dir
from selab.vm import kvm
from selab.vm.kvm import QEMU, SECTOR, SECTOR_EXIT, Kvm, best_known, probe


class FakeQemu:
    """A QEMU on PATH that records its words and runs the shell script of `runs`."""

    def __init__(self, directory: Path) -> None:
        self._program, self._calls = directory / QEMU, directory / "calls"
        self.runs("exit 0")

    def runs(self, body: str) -> None:
        self._program.write_text(f'#!/bin/sh\necho "$*" >>{self._calls}\n{body}\n')
        self._program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture(autouse=True)
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    (tmp_path / "bin").mkdir()
    (tmp_path / "kvm").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(kvm, "QEMU_OF_EL", tmp_path / "qemu-kvm")
    return FakeQemu(tmp_path / "bin")


@pytest.mark.parametrize(
    ("code", "works"), [(SECTOR_EXIT, True), (0, False), (1, False)], ids=["answers", "ends", "fails"]
)
def test_a_boot_sector_proves_kvm_by_its_own_exit_code(qemu: FakeQemu, code: int, works: bool) -> None:
    qemu.runs(f"exit {code}")
    assert probe().works is works


@pytest.mark.parametrize(("code", "works"), [(0, True), (SECTOR_EXIT, False)])
def test_a_kernel_proves_kvm_by_ending_without_error(
    qemu: FakeQemu, tmp_path: Path, code: int, works: bool
) -> None:
    qemu.runs(f"exit {code}")
    assert probe(tmp_path / "vmlinuz").works is works
    assert f"-kernel {tmp_path / 'vmlinuz'}" in qemu.calls[0]


def test_the_probe_never_falls_back_to_emulation(qemu: FakeQemu, tmp_path: Path) -> None:
    probe()
    probe(tmp_path / "vmlinuz")
    assert [call.split()[:2] for call in qemu.calls] == [["-accel", "kvm"]] * 2


@pytest.mark.program
@pytest.mark.parametrize("kernel", [None, Path("vmlinuz")])
def test_a_guest_that_hangs_shows_that_kvm_does_not_work(
    qemu: FakeQemu, monkeypatch: pytest.MonkeyPatch, kernel: Path | None
) -> None:
    monkeypatch.setattr(kvm, "SECTOR_LIMIT", 0.3)
    monkeypatch.setattr(kvm, "KERNEL_LIMIT", 0.3)
    qemu.runs("exec sleep 20")
    result = probe(kernel)
    assert not result.works and "0.3 s" in result.reason


def test_the_result_is_probed_once_for_each_kind_of_probe(qemu: FakeQemu, tmp_path: Path) -> None:
    results = [probe(), probe(tmp_path / "vmlinuz"), probe(), probe(tmp_path / "vmlinuz")]
    assert len(qemu.calls) == 2
    assert [result.works for result in results] == [False, True, False, True]


def test_another_qemu_is_probed_again(qemu: FakeQemu) -> None:
    assert not probe().works
    qemu.runs(f"exit {SECTOR_EXIT} # another size")
    assert probe().works


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', '{"x": {"works": true}}'])
def test_a_damaged_cache_is_ignored(qemu: FakeQemu, text: str) -> None:
    cache_dir().mkdir(parents=True, exist_ok=True)
    (cache_dir() / "kvm.json").write_text(text)
    qemu.runs(f"exit {SECTOR_EXIT}")
    assert probe().works
    (entry,) = json.loads((cache_dir() / "kvm.json").read_text()).values()
    assert entry["works"] is True


def test_without_the_device_nothing_is_started(qemu: FakeQemu, tmp_path: Path) -> None:
    (tmp_path / "kvm").unlink()
    result = probe()
    assert not result.works and f"no {tmp_path / 'kvm'}" in result.reason
    assert qemu.calls == []


def test_a_device_that_the_user_may_not_open_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm.os, "access", lambda *_: False)
    result = probe()
    assert not result.works and "this user" in result.reason


def test_without_qemu_that_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = probe()
    assert not result.works and QEMU in result.reason


def test_the_boot_sector_is_one() -> None:
    assert len(SECTOR) == 512 and SECTOR.endswith(b"\x55\xaa")


def test_the_probe_with_a_kernel_outweighs_the_boot_sector(qemu: FakeQemu, tmp_path: Path) -> None:
    """KVM may run a boot sector and hang a kernel: doctor must not say that such a KVM works."""
    qemu.runs(f'case "$*" in *-kernel*) exit 1 ;; esac; exit {SECTOR_EXIT}')
    assert best_known().works
    result = probe(tmp_path / "vmlinuz")
    assert (result.works, best_known()) == (False, result)


def test_an_old_result_does_not_hide_that_the_device_is_gone(qemu: FakeQemu, tmp_path: Path) -> None:
    assert probe(tmp_path / "vmlinuz") == Kvm(True, best_known().reason)
    (tmp_path / "kvm").unlink()
    assert not best_known().works


def test_qemu_of_el_is_used_if_no_other_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kvm.find_qemu() == str(tmp_path / "bin" / QEMU)
    monkeypatch.setenv("PATH", "")
    (tmp_path / "qemu-kvm").touch()
    assert kvm.find_qemu() == str(tmp_path / "qemu-kvm")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor: 0\nflags\t\t: fpu vmx\n\nprocessor: 1\nflags\t\t: svm\n", {"fpu", "vmx"}),
        ("processor: 0\n", set()),
        (None, set()),
    ],
)
def test_the_flags_are_those_of_the_first_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, flags: set[str]
) -> None:
    monkeypatch.setattr(kvm, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert kvm.processor_flags() == flags
