"""A guest for its guard: files instead of a kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.vm.guest_agent import guard
from tests.unit.fakes import SandboxGuest


class GuardedGuest(SandboxGuest):
    """A guest in permissive mode of its own, with a candidate that enforces."""

    PLACES = (*SandboxGuest.PLACES, "/usr/local/lib/selab")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("/sys/fs/selinux/enforce", "1")
        self.write("/sys/fs/selinux/load", "")
        self.write("/sys/fs/selinux/policy", "base")
        self.write("/run/selab/mode", "0\n")
        self.write("/run/selab/loaded", "digest 7\n")
        self.program("load_policy")
        self.program("systemctl", "exit 1")

    def has(self, name: str) -> bool:
        return self.path(f"/run/selab/{name}").exists()

    @property
    def enforce(self) -> str:
        return self.path("/sys/fs/selinux/enforce").read_text()


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GuardedGuest:
    guest = GuardedGuest(tmp_path)
    for name in ("RUN", "PIPE", "PID", "MODE", "LOADED", "SELINUX", "RUNTIME_SERVICES"):
        monkeypatch.setattr(guard, name, guest.path(str(getattr(guard, name))))
    for name in ("LABELS", "RESTORE_LABELS"):
        monkeypatch.setattr(guard, name, str(guest.path(getattr(guard, name))))
    monkeypatch.setenv("PATH", f"{guest.path('/bin')}:{os.environ['PATH']}")
    return guest
