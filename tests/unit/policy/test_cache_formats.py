"""What the cache holds changes only together with the number of its format.

Otherwise a newer selab uses what an older one cached, as one did with file contexts that named an alias. If a
test fails here, raise the module's FORMAT, then record the new pair.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from selab.policy import base as base_module
from selab.policy import interfaces as interfaces_module
from selab.policy.base import BasePolicy, keep_base
from selab.policy.toolchain import Toolchain
from tests.unit.headers import DEBIAN, write_headers
from tests.unit.policy.store import ACTIVE, FILES, archive

VARIED = {
    f"{ACTIVE}/modules/400/web/cil": b"""(typealias old_t)
(typealiasactual old_t better_t)
(type better_t)
(roletype r better_t)
(optional web_optional (typeattributeset cil_gen_require nowhere_t) (allow nowhere_t etc_t (file (read))))
(allowx better_t etc_t (ioctl file ((range 0x5400 0x5401))))
(filecon "/srv/a" file (u r old_t ((s0) (s0))))
(filecon "/srv/b.*" any (u r better_t ((s0) (s0))))
(filecon "/srv/c" any ())
(filecon "HOME_DIR/d" any (u r better_t ((s0) (s0))))
""",
    f"{ACTIVE}/file_contexts.local": b"/srv/y  u:object_r:better_t:s0\n",
    f"{ACTIVE}/users.local": b"user u roles r;\n",
}
"""One of each kind of statement that a base policy's files are made of."""


def digest_of(paths: list[Path], root: Path) -> str:
    """Return the digest of the files' names and contents."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def test_a_base_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: Toolchain) -> None:
    monkeypatch.setattr(base_module, "_resolve", lambda cil, tools: cil)
    keep_base(archive(FILES | VARIED), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert (base_module.FORMAT, digest_of(files, directory)) == (10, "632138dd2430387d")


@pytest.mark.toolchain
def test_the_interfaces_of_a_base_policy(base: BasePolicy) -> None:
    write_headers(base.headers, DEBIAN)
    interfaces_module.interface_table(base)
    (path,) = base.directory.glob("*interfaces*.json")
    assert (interfaces_module.FORMAT, digest_of([path], base.directory)) == (2, "c0fb2472cdb30463")
