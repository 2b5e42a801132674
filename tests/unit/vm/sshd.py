"""Real sshd processes on the loopback interface, which need neither root nor PAM."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selab.vm import keys
from selab.vm.host_keys import known_name

PATIENCE = 20.0
"""Seconds for sshd to listen, on a machine that is busy with other tests."""
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
LogLevel DEBUG1
SetEnv PATH={directory}/bin:/usr/local/bin:/usr/bin:/bin
"""
# A user who is not root runs the guest's commands by sudo; here it adds no rights.
SUDO = """#!/bin/sh
[ "$1 $2" = "-n --" ] || exit 9
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Sshd:
    """A running sshd that accepts one key."""

    directory: Path
    port: int
    key: Path
    """The private key that it accepts."""
    public: str
    """Its own host key, as a type and base64."""
    user: str

    @property
    def known_line(self) -> str:
        """The line of a known_hosts file for it."""
        return f"{known_name('127.0.0.1', self.port)} {self.public}\n"

    def log(self) -> str:
        return (self.directory / "log").read_text()


@contextlib.contextmanager
def running(directory: Path, *options: str) -> Iterator[Sshd]:
    """An sshd with the lines `options` in its configuration, until the block ends."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert program, "These tests need sshd: `script/setup --dev` installs the package openssh-server."
    assert shutil.which("ssh"), "These tests need ssh: `script/setup --dev` installs openssh-client."
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/sudo").write_text(SUDO)
    (directory / "bin/sudo").chmod(0o755)
    public = _new_key(directory / "host_key")
    (directory / "authorized_keys").write_text(_new_key(directory / "key") + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "sshd_config"
    config.write_text("\n".join(options) + CONFIG.format(port=port, directory=directory))
    (directory / "log").touch()
    command = [program, "-D", "-E", str(directory / "log"), "-f", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _await(process, port, directory / "log")
        yield Sshd(directory, port, directory / "key", public, getpass.getuser())
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _new_key(path: Path) -> str:
    private, public = keys.new_key()
    path.touch(mode=0o600)
    path.write_text(private)
    return " ".join(public.split()[:2])
