"""A guest for the scripts that prepare, check and restore one: a sandbox with users and fake programs."""

from __future__ import annotations

from pathlib import Path

from selab.guest import Completed, script_argv
from tests.unit.fakes import SandboxGuest

ENFORCE = "/sys/fs/selinux/enforce"


class VmGuest(SandboxGuest):
    """A sandbox with the users root and vagrant, and fakes of the programs that many scripts run."""

    PLACES = (*SandboxGuest.PLACES, "/root/.ssh", "/home", "/etc/ssh", "/etc/systemd", "/etc/docker")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for place in ("/root/.ssh", "/etc/docker"):
            self.path(place).rmdir()
        self.program("restorecon")
        self.program("load_policy")
        self.program("systemctl")
        self.program(
            "getent",
            "case $2 in root) home=/root ;; vagrant) home=/home/vagrant ;; *) exit 2 ;; esac\n"
            f'echo "$2:x:1000:1000::{root}$home:/bin/sh"',
        )

    def runs(self, name: str, *words: str, input: bytes = b"") -> Completed:
        return self.run(script_argv(f"vm/{name}", *words), input=input)

    def calls_of(self, *programs: str) -> list[str]:
        return [call.rstrip() for call in self.called if call.split()[0] in programs]

    def read(self, place: str) -> str:
        return self.path(place).read_text()
