"""Fakes of `vagrant` and `virsh`, which the VM package calls: executables on PATH that record each call.

A fake that is called with a word that it does not know records that as well, and the test fails at its end.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect.spawnbase
import ptyprocess
import pytest

from selab.guest import RUN_TIMEOUT, Completed, script
from selab.project import BoxSource, Project, ProjectConfig, VmConfig
from selab.vm import consent, kvm, provision, terminal, vagrantfile, virtual_machine
from selab.vm.host_keys import pin_text
from selab.vm.ssh_login import Address
from selab.vm.state import Remembered

DOMAIN = "7f9b4d3e-0000-4000-8000-000000000001"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv"
VAGRANT = r"""#!/bin/sh
here={here}
echo "vagrant $*" >>"$here/calls"
if [ -e "$here/fails/$1" ]; then
  cat "$here/fails/$1"; echo
  [ ! -e "$here/fails/$1 once" ] || rm "$here/fails/$1"
  exit 1
fi
state=
case $1 in
  status) printf '1,default,metadata,provider,libvirt\n1,default,state,%s\n' "$(cat "$here/state")" ;;
  ssh-config)
    echo 'Host default'
    printf '  %s\n' 'HostName 127.0.0.1' 'User vagrant' 'Port {port}' \
      "IdentityFile \"$here/private key\"" 'IdentityFile /x' ;;
  up | resume)
    printf '==> default: Booting...\r\n    default: Progress: 12%%\r    default: Progress: 13%%\r\n'
    echo '==> default: Machine booted'; state=running ;;
  destroy) state=not_created ;;
  halt) state=shutoff ;;
  suspend) state=paused ;;
  *) echo "vagrant $1" >>"$here/unknown"; exit 1 ;;
esac
[ -z "$state" ] || printf %s "$state" >"$here/state"
"""

VIRSH = r"""#!/bin/sh
here={here}
[ "$1" != -q ] || shift
shift 2
echo "virsh $*" >>"$here/calls"
if [ -e "$here/virsh/$1" ]; then cat "$here/virsh/$1"; echo; exit 0; fi
case $1 in
  uri) ;;
  pool-info) echo 'State:          running' ;;
  domiflist) echo ' -           user   -        virtio   52:54:00:00:00:01' ;;
  domif-setlink) echo "$4" >"$here/link$5" ;;
  domif-getlink) echo "$3 $(cat "$here/link$4")" ;;
  dumpxml) echo "<qemu:arg value='user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22'/>" ;;
  console | domname | domstate | domuuid | qemu-agent-command | reset | vol-info)
    echo 'error: failed to get domain or volume' >&2; exit 1 ;;
  *) echo "virsh $1" >>"$here/unknown"; exit 1 ;;
esac
"""


@dataclass
class ProvisionedGuest:
    """A guest that is provisioned, or that answers `probes` once.

    `code` is the exit code of each provisioning step.

    `commands` holds what was run and `files` what was put. Any other command than provisioning and a login's
    fails the test.
    """

    address: Address
    stamp: str = field(default_factory=provision.ready_stamp)
    probes: list[str] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    code: int = 0
    tool: str = "/usr/bin/apt-get"

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        self.commands.append(tuple(argv))
        code, out, err = self._answer(tuple(argv))
        return Completed(tuple(argv), code, out, err)

    def _answer(self, argv: tuple[str, ...]) -> tuple[int, bytes, bytes]:
        if argv == ("cat", provision.STAMP):
            return 0, self.files.get(provision.STAMP, self.stamp.encode()), b""
        text = argv[2] if argv[:2] == ("sh", "-c") else ""
        if text == script("vm/probe"):
            answers = self.probes or ["present"] * (len(argv) - 4)
            self.probes = []
            return 0, "\n".join(answers).encode(), b""
        if text == script("vm/package-tools"):
            return 0, self.tool.encode() + b"\n", b""
        steps = (
            step
            for family in ("apt", "dnf")
            for step in (*provision.steps(family), *provision.runtime_steps(family, "podman"))
        )
        if text in {step.apply for step in steps}:
            return self.code, b"", b"first line\nit broke\n" if self.code else b""
        if text == script("vm/await-network"):
            return self.code, b"", b""
        if text == script("vm/add-key") or argv == ("chpasswd",):
            return 0, b"", b""
        raise AssertionError(f"the provisioned guest has no configured answer for {argv!r}")

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        self.files[path] = data

    def get(self, path: str) -> bytes:
        return self.files[path]

    def close(self) -> None: ...

    def __enter__(self) -> ProvisionedGuest:
        return self

    def __exit__(self, *_: object) -> None: ...


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

    def known(self) -> None:
        """Record a VM that was reached before, without the processes that `up_before` starts."""
        vagrantfile.place(self.project, virtual_machine.Progress())
        files = self.machine.files
        files.keep_key(self.here / "private key")
        files.keep_password("secret")
        files.remember(Remembered("127.0.0.1", 2222, "root", str(files.key), DOMAIN, "libvirt", "closed"))
        pin_text(files.known_hosts, HOST_KEY)

    def up_before(self) -> None:
        """Leave what a first run leaves: selab remembers the VM with its host key."""
        self.set_state("running")
        guest = self.machine.ensure(virtual_machine.Progress())
        assert isinstance(guest, ProvisionedGuest)
        pin_text(self.machine.files.known_hosts, HOST_KEY)
        (self.here / "calls").unlink()


@pytest.fixture(autouse=True)
def consent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the user allow everything. test_consent.py replaces this."""
    monkeypatch.setattr(consent, "foreign", lambda project: [])


@pytest.fixture(autouse=True)
def pexpect_does_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pauses of pexpect before it types and after it closes a terminal, and poll often.

    The fakes need no pauses: they read what is typed before they ask for it, and an ended fake stays ended.
    """
    start, attach = pexpect.spawnbase.SpawnBase.__init__, ptyprocess.PtyProcess.__init__

    def spawn(child: Any, *arguments: Any, **options: Any) -> None:
        start(child, *arguments, **options)
        child.delaybeforesend = None

    def process(child: Any, *arguments: Any, **options: Any) -> None:
        attach(child, *arguments, **options)
        child.delayafterclose = 0

    monkeypatch.setattr(pexpect.spawnbase.SpawnBase, "__init__", spawn)
    monkeypatch.setattr(ptyprocess.PtyProcess, "__init__", process)
    monkeypatch.setattr(terminal, "POLL", 0.01)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVm]:
    here, root = tmp_path / "fakes", tmp_path / "project"
    for directory in (here / "bin", here / "fails", here / "virsh", root):
        directory.mkdir(parents=True)
    with socket.socket() as probe:  # a VM of this machine may use the port 2222
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for name, text in (("vagrant", VAGRANT), ("virsh", VIRSH)):
        program = here / "bin" / name
        program.write_text(text.replace("{here}", shlex.quote(str(here))).replace("{port}", port))
        program.chmod(0o755)
    (here / "private key").write_text("-----BEGIN KEY-----\nx\n-----END KEY-----\n")
    (here / "own.box").write_text("box")
    monkeypatch.setenv("PATH", f"{here / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SELAB_CACHE", str(here / "cache"))
    monkeypatch.setattr(kvm, "probe", lambda kernel=None: kvm.Kvm(False, "the test says so"))
    monkeypatch.setattr(virtual_machine.SshGuest, "connect", lambda address, **_: ProvisionedGuest(address))
    config = ProjectConfig(vm=VmConfig(source=BoxSource(file=str(here / "own.box"))))
    yield FakeVm(here, Project(root, config, root))
    unknown = here / "unknown"
    assert not unknown.exists(), f"the fakes do not know these commands:\n{unknown.read_text()}"
