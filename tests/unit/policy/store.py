"""A policy store as a tar and as files, and tools that make a base policy of it without a compiler."""

from __future__ import annotations

import bz2
import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selab.guest import RUN_TIMEOUT, Completed, script_argv
from selab.policy.base import BasePolicy, ensure_base, keep_base
from selab.policy.survey import StoreFacts, fingerprint_of
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import BASE
from tests.unit.fakes import FakeGuest


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


class Resolver(FakeGuest):
    """A machine whose secil2tree finds nothing to resolve: it prints what it reads."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        program, *_, file = argv
        assert program in ("secil2tree", "rm")
        text = self.files.pop(file) if program == "rm" else self.files[file]
        return Completed(tuple(argv), 0, text, b"")


ACTIVE = "var/lib/selinux/test/active"
FILES = {
    f"{ACTIVE}/modules/100/base/cil": bz2.compress(BASE.encode()),
    f"{ACTIVE}/modules/100/web/cil": b"(type web_t)\n(roletype r web_t)\n",
    f"{ACTIVE}/modules/400/web/cil": b"(type better_t)\n(roletype r better_t)\n",
    f"{ACTIVE}/modules/100/off/cil": b"(type off_t)\n",
    f"{ACTIVE}/modules/disabled/off": b"",
    f"{ACTIVE}/booleans.local": b"shiny=1\n",
    "usr/share/selinux/devel/include/web.if": b"x",
    "etc/selinux/test/contexts/files/file_contexts": b"/evil system_u:object_r:web_t:s0\n",
    "etc/selinux/test/contexts/lxc_contexts": b'process = "system_u:system_r:container_t:s0"\n',
    "usr/share/udica/templates/net_container.cil": b"(block net_container (blockabstract net_container))\n",
}


def made(tmp_path: Path, tools: Toolchain) -> BasePolicy:
    keep_base(archive(FILES), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    return BasePolicy(StoreFacts("test", 33, True, False, ""), directory, frozenset())


def in_cache(cache: Path, tools: Toolchain, files: dict[str, bytes] = FILES, **facts: Any) -> BasePolicy:
    """Put the base policy of `files` into `cache`, as a guest that has it and these other facts does."""
    keep_base(archive(files), "test", tools, cache)
    reported = StoreFacts("test", 33, True, False, fingerprint_of_files(files))
    return ensure_base(FakeGuest(), replace(reported, **facts), tools, cache, Progress())


def _below(files: dict[str, bytes], directory: str) -> list[str]:
    return [name.removeprefix(directory) for name in files if name.startswith(directory)]


def fingerprint_of_files(files: dict[str, bytes] = FILES) -> str:
    store = {
        path.removeprefix(f"{ACTIVE}/"): hashlib.sha256(data).hexdigest()
        for path, data in files.items()
        if path.startswith(ACTIVE)
    }
    for part, root, names in (
        ("devel", "usr/share/selinux/", sorted(_below(files, "usr/share/selinux/"))),
        ("contexts", "etc/selinux/test/", ["contexts/lxc_contexts"]),
        ("templates", "usr/share/udica/", sorted(_below(files, "usr/share/udica/"))),
    ):
        lines = "".join(f"{hashlib.sha256(files[root + name]).hexdigest()}  {name}\n" for name in names)
        store[part] = hashlib.sha256(lines.encode()).hexdigest()
    return fingerprint_of(store, ())


class StoreGuest(FakeGuest):
    """A guest that can only send its policy store."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        assert list(argv) == script_argv("policy/read-store", "test")
        return Completed(tuple(argv), 0, archive(FILES), b"")
