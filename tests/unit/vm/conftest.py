"""Fakes of the two programs that the VM's part calls: `vagrant` and `virsh`, as executables on PATH that write down each call."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from selab.guest import RUN_TIMEOUT, Completed, script
from selab.project import BoxSource, Project, ProjectConfig, VmConfig
from selab.vm import kvm, provision, virtual_machine
from selab.vm.host_keys import pin_text
from selab.vm.ssh_login import Address

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv"
VAGRANT = """#!{python}
import os, pathlib, sys
here = pathlib.Path({here!r})
with (here / "calls").open("a") as calls:
    calls.write("vagrant " + " ".join(sys.argv[1:]) + "\\n")
state = here / "state"
word = sys.argv[1]
if (here / "fails" / word).exists():
    print((here / "fails" / word).read_text())
    if (here / "fails" / f"{{word}} once").exists():
        (here / "fails" / word).unlink()
    sys.exit(1)
if word == "status":
    print(f"1,default,metadata,provider,libvirt\\n1,default,state,{{state.read_text()}}")
elif word == "ssh-config":
    print(f'Host default\\n  HostName 127.0.0.1\\n  User vagrant\\n  Port 2222\\n  IdentityFile "{{here}}/private key"\\n  IdentityFile /x')
elif word in ("up", "resume"):
    print("==> default: Booting...\\r\\n    default: Progress: 12%\\r    default: Progress: 13%\\r\\n==> default: Machine booted")
    state.write_text("running")
elif word in ("destroy", "halt", "suspend"):
    state.write_text({{"destroy": "not_created", "halt": "shutoff", "suspend": "paused"}}[word])
"""

VIRSH = """#!{python}
import pathlib, sys
here = pathlib.Path({here!r})
words = [word for word in sys.argv[1:] if word != "-q"][2:]
with (here / "calls").open("a") as calls:
    calls.write("virsh " + " ".join(words) + "\\n")
answer = here / "virsh" / words[0]
if answer.exists():
    print(answer.read_text())
elif words[0] == "pool-info":
    print("State:          running")
elif words[0] != "uri":
    sys.exit(1)
"""


@dataclass
class FakeGuest:
    """A Guest that is provisioned, or whose probes answer `probes`; it writes down what was run and put."""

    address: Address
    stamp: str = field(default_factory=provision.ready_stamp)
    probes: list[str] = field(default_factory=list)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    code: int = 0
    tool: str = "/usr/bin/apt-get"

    def run(self, argv: Sequence[str], *, input: bytes = b"", timeout: float = RUN_TIMEOUT) -> Completed:
        self.ran.append(tuple(argv))
        if argv[0] == "cat":
            return Completed(tuple(argv), 0, self.files.get(argv[1], self.stamp.encode()), b"")
        text = argv[2] if argv[0] == "sh" else ""
        if text == script("vm/probe"):
            answers = self.probes or ["present"] * (len(argv) - 4)
            self.probes = []
            return Completed(tuple(argv), 0, "\n".join(answers).encode(), b"")
        if text == script("vm/package-tools"):
            return Completed(tuple(argv), 0, self.tool.encode() + b"\n", b"")
        return Completed(tuple(argv), self.code, b"", b"first line\nit broke\n" if self.code else b"")

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def get(self, path: str) -> bytes:
        return self.files[path]

    def close(self) -> None: ...


@dataclass
class FakeVm:
    """A project in a temporary directory with the fakes around it."""

    here: Path
    project: Project

    @property
    def machine(self) -> virtual_machine.VirtualMachine:
        return virtual_machine.VirtualMachine(self.project)

    def set_state(self, state: str) -> None:
        (self.here / "state").write_text(state)

    def fail(self, word: str, output: str, *, once: bool = False) -> None:
        (self.here / "fails" / word).write_text(output)
        if once:
            (self.here / "fails" / f"{word} once").touch()

    def virsh(self, word: str, output: str) -> None:
        (self.here / "virsh" / word).write_text(output)

    def calls(self, program: str = "vagrant") -> list[str]:
        path = self.here / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            line.removeprefix(f"{program} ").split()[0] for line in lines if line.startswith(f"{program} ")
        ]

    def up_before(self) -> None:
        """As after a first run: the VM is remembered with its host key."""
        self.set_state("running")
        guest = self.machine.ensure(virtual_machine.Progress())
        assert isinstance(guest, FakeGuest)
        pin_text(self.machine.files.known_hosts, HOST_KEY)
        (self.here / "calls").unlink()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVm:
    here, root = tmp_path / "fakes", tmp_path / "project"
    for directory in (here / "bin", here / "fails", here / "virsh", root):
        directory.mkdir(parents=True)
    for name, text in (("vagrant", VAGRANT), ("virsh", VIRSH)):
        program = here / "bin" / name
        program.write_text(text.format(python=sys.executable, here=str(here)))
        program.chmod(0o755)
    (here / "private key").write_text("-----BEGIN KEY-----\nx\n-----END KEY-----\n")
    (here / "own.box").write_text("box")
    monkeypatch.setenv("PATH", f"{here / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SELAB_CACHE", str(here / "cache"))
    monkeypatch.setattr(kvm, "probe", lambda kernel=None: kvm.Kvm(False, "the test says so"))
    monkeypatch.setattr(virtual_machine.SshGuest, "connect", lambda address, **_: FakeGuest(address))
    config = ProjectConfig(vm=VmConfig(source=BoxSource(file=str(here / "own.box"))))
    return FakeVm(here, Project(root, config, root))
