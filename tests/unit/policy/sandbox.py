"""A sandbox for the scripts about the guest's policy: its kernel, its module store, and files to label."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from selab.guest import RUN_TIMEOUT, Completed
from tests.unit.fakes import SandboxGuest

KERNEL = "/sys/fs/selinux"
LOADED = "/run/selab/loaded"


class PolicyGuest(SandboxGuest):
    """A sandbox with a permissive kernel, whose counter is 7. A script's arguments lead into it too."""

    PLACES = (
        *(*SandboxGuest.PLACES, "/etc", "/proc", "/srv", "/usr/local/lib/selab"),
        *("/usr/share/selinux", "/usr/share/udica", "/var/lib/selinux"),
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.status(enforcing=False, policyload=7)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        words = [str(self.path(word)) if word.startswith("/") else word for word in argv[4:]]
        text = argv[2].replace("cd / ", f"cd {self.root} ")
        return super().run([*argv[:2], text, argv[3], *words], input=input, timeout=timeout, limit=limit)

    def holds(self, files: Mapping[str, bytes]) -> None:
        """Let the file system have these files, by their paths relative to the root directory."""
        for name, data in files.items():
            self.put(data, f"/{name}")

    def has(self, **files: str) -> None:
        """Let /run/selab have these files."""
        for name, text in files.items():
            self.path(f"/run/selab/{name}").write_text(text)

    @property
    def loaded(self) -> str | None:
        """What is recorded about the policy that selab loaded last, or None if nothing is."""
        return self.path(LOADED).read_text() if self.path(LOADED).exists() else None

    def count(self, policyload: int, *, after: str) -> None:
        """Let the kernel have the counter `policyload` as soon as its file `after` was written."""
        page, status = self.root / "page", self.path(f"{KERNEL}/status")
        page.write_bytes(struct.pack("=5I", 1, 2, 0, policyload, 0))
        self.program(
            "od", f'[ ! -e "{self.path(KERNEL)}/{after}" ] || cp "{page}" "{status}"\nexec /usr/bin/od "$@"'
        )

    def refuse(self, name: str) -> None:
        """Let the kernel refuse what is written to its file `name`."""
        self.path(f"{KERNEL}/{name}").unlink(missing_ok=True)
        self.path(f"{KERNEL}/{name}").mkdir()


class Pipe:
    """A pipe that something reads, such as the guard in the guest: each order is what was written to it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def read(self) -> str:
        """Return what was written since the last time."""
        try:
            return os.read(self._file, 4096).decode()
        except BlockingIOError:
            return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
