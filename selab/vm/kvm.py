"""Probe whether KVM works: /dev/kvm may exist and still hang every guest, for example under nested
virtualisation."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from selab.host.cache import cache_dir
from selab.host.files import write_json
from selab.host.processes import run_group

DEVICE = Path("/dev/kvm")
CPUINFO = Path("/proc/cpuinfo")
EXTENSIONS = frozenset({"vmx", "svm"})
"""The flags of processors by Intel and by AMD that can run VMs under KVM."""
QEMU = "qemu-system-x86_64"
QEMU_OF_EL = Path("/usr/libexec/qemu-kvm")
"""QEMU on CentOS and RHEL, which is not in PATH."""
KERNEL_LIMIT = 8.0
"""Seconds for a kernel without a root file system to panic and exit. It takes one second if KVM works."""
SECTOR_LIMIT = 2.0
"""Seconds for a boot sector to report that it runs: 0.3 if KVM works, 4 if another hypervisor emulates each
VM exit."""
SECTOR_EXIT = 33
SECTOR = bytes.fromhex("baf400b010eef4ebfd").ljust(510, b"\0") + b"\x55\xaa"
"""`mov dx,0xf4; mov al,16; out dx,al; hlt`: QEMU's isa-debug-exit device then exits with 2 * 16 + 1."""


@dataclass(frozen=True)
class Kvm:
    """The result of the probe.

    works: whether KVM can run a guest.
    reason: why, as a clause ("the probe kernel hung").
    """

    works: bool
    reason: str


def probe(kernel: Path | None = None) -> Kvm:
    """Probe KVM with `kernel`, or with a boot sector (which proves less) if no kernel is given.

    The result is cached for this boot of the host, this QEMU and this kind of probe.
    """
    if not DEVICE.exists():
        return Kvm(False, f"there is no {DEVICE}")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Kvm(False, f"{DEVICE} is not open to this user (the group kvm usually is)")
    qemu = find_qemu()
    if qemu is None:
        return Kvm(False, f"{QEMU} is not installed")
    memory = cache_dir() / "kvm.json"
    key = _key(qemu, kernel)
    known = _read(memory)
    if key not in known:
        result = _try_kernel(qemu, kernel) if kernel else _try_sector(qemu)
        known = {**_read(memory), key: asdict(result)}
        write_json(memory, known)
    return Kvm(bool(known[key]["works"]), str(known[key]["reason"]))


def best_known() -> Kvm:
    """Return the result of a probe with a VM's kernel on this boot of the host, if there was one.

    Otherwise probe with a boot sector. KVM may run a boot sector and still hang a kernel.
    """
    qemu = find_qemu()
    if qemu and os.access(DEVICE, os.R_OK | os.W_OK):
        entry = _read(cache_dir() / "kvm.json").get(_key(qemu, Path()))
        if entry:
            return Kvm(bool(entry["works"]), str(entry["reason"]))
    return probe()


def processor_flags() -> frozenset[str]:
    """Return the flags of the first processor; none if the system does not report them."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def find_qemu() -> str | None:
    """Return the path of QEMU for x86-64, or None if it is not installed."""
    return shutil.which(QEMU) or (str(QEMU_OF_EL) if QEMU_OF_EL.exists() else None)


def _key(qemu: str, kernel: Path | None) -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    stat = Path(qemu).stat()
    return hashlib.sha256(
        f"{boot} {qemu} {stat.st_size} {stat.st_mtime_ns} {kernel is not None} {os.geteuid()}".encode()
    ).hexdigest()[:16]


def _read(memory: Path) -> dict[str, dict[str, object]]:
    try:
        known = json.loads(memory.read_text())
        return {key: value for key, value in known.items() if set(value) == {"works", "reason"}}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _run(qemu: str, words: list[str], limit: float) -> int | None:
    """Run QEMU under KVM. Return its exit code, or None if it exceeded `limit` seconds and was ended."""
    command = [
        qemu,
        "-accel",
        "kvm",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        *words,
    ]
    try:
        return run_group(command, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        return None


def _try_kernel(qemu: str, kernel: Path) -> Kvm:
    code = _run(
        qemu, ["-m", "256", "-cpu", "host", "-kernel", str(kernel), "-append", "panic=-1 quiet"], KERNEL_LIMIT
    )
    if code is None:
        return Kvm(False, f"a kernel that should have exited hung for {KERNEL_LIMIT:g} s under KVM")
    return Kvm(code == 0, "a kernel booted under KVM" if code == 0 else f"QEMU exited with {code} under KVM")


def _try_sector(qemu: str) -> Kvm:
    with tempfile.NamedTemporaryFile(suffix=".raw") as disk:
        disk.write(SECTOR)
        disk.flush()
        drive = [
            "-drive",
            f"file={disk.name},format=raw,if=ide",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        code = _run(qemu, ["-m", "32", "-cpu", "host", *drive], SECTOR_LIMIT)
    if code is None:
        return Kvm(False, f"a boot sector did not answer within {SECTOR_LIMIT:g} s under KVM")
    return Kvm(
        code == SECTOR_EXIT,
        "a boot sector ran under KVM" if code == SECTOR_EXIT else f"QEMU exited with {code} under KVM",
    )
