"""A base policy made from a tar of a policy store."""

from __future__ import annotations

import bz2
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.guest import RUN_TIMEOUT, Completed, script_argv
from selab.policy.base import BasePolicy, ensure_base, keep_base, known_base, newest_base
from selab.policy.survey import StoreFacts, fingerprint_of, keep_facts, survey
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import BASE
from tests.unit.fakes import FakeGuest, Notes


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


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
}


def made(tmp_path: Path, tools: Toolchain) -> BasePolicy:
    keep_base(archive(FILES), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    return BasePolicy(StoreFacts("test", 33, True, False, ""), directory, frozenset())


@pytest.mark.toolchain
def test_a_higher_priority_is_in_force(tmp_path: Path, tools: Toolchain) -> None:
    assert made(tmp_path, tools).declares_type("better_t")


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["web_t", "off_t"])
def test_a_lower_priority_and_a_disabled_module_are_not(tmp_path: Path, tools: Toolchain, name: str) -> None:
    assert not made(tmp_path, tools).declares_type(name)


@pytest.mark.toolchain
def test_a_local_boolean_is_in_the_flat_base(tmp_path: Path, tools: Toolchain) -> None:
    assert "(boolean shiny true)" in made(tmp_path, tools).flat.read_text()


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["devel/include/web.if", "contexts/lxc_contexts"])
def test_headers_and_contexts_that_no_module_declares_are_stored(
    tmp_path: Path, tools: Toolchain, name: str
) -> None:
    assert (made(tmp_path, tools).directory / name).exists()


@pytest.mark.toolchain
def test_the_file_contexts_are_those_of_the_modules_and_not_of_the_guests_file(
    tmp_path: Path, tools: Toolchain
) -> None:
    """The fingerprint covers the modules only. The guest's file may be forged for other guests' runs."""
    filecon = b'(filecon "/srv/x" file (u r better_t ((s0) (s0))))\n'
    path = f"{ACTIVE}/modules/400/web/cil"
    keep_base(archive(FILES | {path: FILES[path] + filecon}), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    text = (directory / "contexts" / "files" / "file_contexts").read_text()
    assert text == "/srv/x\t--\tu:r:better_t:s0\n"


@pytest.mark.toolchain
def test_the_file_contexts_have_the_order_of_the_guests_file(tmp_path: Path, tools: Toolchain) -> None:
    """Two patterns of equal precedence may match one path, and then the last one counts."""
    texts = [f'(filecon "/{name}.*" file (u r better_t ((s0) (s0))))\n'.encode() for name in ("a", "b", "c")]
    path = f"{ACTIVE}/modules/400/web/cil"
    theirs = b"/b.* -- u:r:evil_t:s0\n/a.* -- u:r:better_t:s0\n"
    changed = {path: FILES[path] + b"".join(texts), "etc/selinux/test/contexts/files/file_contexts": theirs}
    keep_base(archive(FILES | changed), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    lines = (directory / "contexts" / "files" / "file_contexts").read_text().splitlines()
    assert lines == [f"/{name}.*\t--\tu:r:better_t:s0" for name in ("b", "a", "c")]


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("rule", "limits"), [(b"", False), (b"(allowx better_t etc_t (ioctl file (0x5401)))\n", True)]
)
def test_a_base_says_whether_it_limits_ioctl(
    tmp_path: Path, tools: Toolchain, rule: bytes, limits: bool
) -> None:
    """Only a base with extended rules is searched for those that apply to a denied ioctl."""
    files = FILES | {f"{ACTIVE}/modules/100/other/cil": rule}
    keep_base(archive(files), "test", tools, tmp_path)
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(files))
    known = ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    assert known.limits_ioctl is limits


@pytest.mark.toolchain
def test_local_file_contexts_come_from_the_store(tmp_path: Path, tools: Toolchain) -> None:
    local = b"/srv/y  u:object_r:better_t:s0\n"
    keep_base(archive(FILES | {f"{ACTIVE}/file_contexts.local": local}), "test", tools, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    assert (directory / "contexts" / "files" / "file_contexts.local").read_bytes() == local


@pytest.mark.toolchain
def test_a_base_that_was_made_from_a_file_system_serves_the_guest_that_has_it(
    tmp_path: Path, tools: Toolchain
) -> None:
    fingerprint = _fingerprint_of(FILES)
    keep_base(archive(FILES), "test", tools, tmp_path)
    store_facts = StoreFacts("test", 33, True, False, fingerprint)
    assert ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress()).facts == store_facts


@pytest.mark.toolchain
def test_the_facts_of_the_last_guest_are_known_without_it(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES), without=("a", "b"))
    keep_base(archive(FILES), "test", tools, tmp_path)
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path)
    assert known is not None and known.facts == store_facts


@pytest.mark.toolchain
def test_what_ones_own_guest_says_goes_before_what_anothers_says(tmp_path: Path, tools: Toolchain) -> None:
    """Two projects whose guests have one base policy have a candidate and a signature each."""
    mine = StoreFacts("test", 33, True, False, _fingerprint_of(FILES), without=("mine",), signature="m")
    keep_base(archive(FILES), "test", tools, tmp_path)
    keep_facts(mine, tmp_path / "store.json")
    ensure_base(FakeGuest(), replace(mine, without=("other",), signature="o"), tools, tmp_path, Progress())
    known = known_base(mine.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == mine


@pytest.mark.toolchain
def test_what_ones_own_guest_said_of_another_store_does_not_count(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES))
    keep_base(archive(FILES), "test", tools, tmp_path)
    keep_facts(replace(store_facts, fingerprint="f" * 64), tmp_path / "store.json")
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == store_facts


def _fingerprint_of(files: dict[str, bytes]) -> str:
    store = {
        path.removeprefix(f"{ACTIVE}/"): hashlib.sha256(data).hexdigest()
        for path, data in files.items()
        if path.startswith(ACTIVE)
    }
    for part, root, names in (
        ("devel", "usr/share/selinux/", ["devel/include/web.if"]),
        ("contexts", "etc/selinux/test/", ["contexts/lxc_contexts"]),
    ):
        lines = "".join(f"{hashlib.sha256(files[root + name]).hexdigest()}  {name}\n" for name in names)
        store[part] = hashlib.sha256(lines.encode()).hexdigest()
    return fingerprint_of(store, ())


@pytest.mark.toolchain
def test_another_projects_base_serves(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES), without=("web",))
    keep_base(archive(FILES), "test", tools, tmp_path)
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    newest = newest_base(tmp_path)
    assert newest is not None and newest.facts == store_facts


def test_an_empty_cache_has_no_base(tmp_path: Path) -> None:
    assert newest_base(tmp_path) is None


@pytest.mark.toolchain
def test_a_base_that_another_process_has_cached_meanwhile_stays(tmp_path: Path, tools: Toolchain) -> None:
    before = made(tmp_path, tools).flat.stat().st_ino
    assert made(tmp_path, tools).flat.stat().st_ino == before


# --- what comes out of a guest, and what lies in the cache, is data ----------------------------------------


def kinds() -> dict[str, tarfile.TarInfo]:
    """Members of a tar that are no plain files below the headers, by what is wrong with them."""
    names = {
        "above": "usr/share/selinux/devel/../../../made",
        "selab's own": "usr/share/selinux/devel/../definitions-v1.m4f",
        "selab's own, by the contexts": "etc/selinux/test/contexts/../interfaces.json",
        "absolute": "/usr/share/selinux/devel/made",
        "elsewhere": "etc/cron.d/made",
    }
    members = {kind: tarfile.TarInfo(name) for kind, name in names.items()}
    for kind, number in (
        ("a link", tarfile.SYMTYPE),
        ("a hard link", tarfile.LNKTYPE),
        ("a device", tarfile.CHRTYPE),
        ("a pipe", tarfile.FIFOTYPE),
    ):
        members[kind] = tarfile.TarInfo("usr/share/selinux/devel/made")
        members[kind].type, members[kind].linkname = number, "/etc/passwd"
    return members


@pytest.mark.toolchain
@pytest.mark.parametrize("kind", kinds())
def test_only_plain_files_below_the_headers_and_contexts_are_unpacked(
    tmp_path: Path, tools: Toolchain, kind: str
) -> None:
    out = io.BytesIO(archive(FILES))
    with tarfile.open(fileobj=out, mode="a") as tar:
        tar.addfile(kinds()[kind], io.BytesIO())
    expected = made(tmp_path / "plain", tools).directory
    keep_base(out.getvalue(), "test", tools, tmp_path / "hostile")
    (directory,) = (tmp_path / "hostile" / "bases").iterdir()
    assert {path.relative_to(directory) for path in directory.rglob("*")} == {
        path.relative_to(expected) for path in expected.rglob("*")
    }
    assert sorted(path.name for path in (tmp_path / "hostile").iterdir()) == ["bases", "locks"]


@pytest.mark.parametrize(
    "data",
    [
        b"no tar",
        archive(FILES)[:700],
        archive({"usr/share/selinux/devel/a": b"", "usr/share/selinux/devel/a/b": b""}),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_an_error(
    tmp_path: Path, tools: Toolchain, data: bytes
) -> None:
    with pytest.raises(SelabError, match="could not be unpacked"):
        keep_base(data, "test", tools, tmp_path)


CHANGES = ["flat.cil", "devel/include/web.if", "contexts/lxc_contexts"]


@pytest.mark.toolchain
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_of_the_same_size_and_time_is_not_used(
    tmp_path: Path, tools: Toolchain, name: str
) -> None:
    base = made(tmp_path, tools)
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES))
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    path = base.directory / name
    stat = path.stat()
    path.write_bytes(b"#" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known_base(store_facts.fingerprint, tmp_path) is None


@pytest.mark.toolchain
@pytest.mark.parametrize("link", [False, True])
def test_a_base_with_one_more_file_is_not_used(tmp_path: Path, tools: Toolchain, link: bool) -> None:
    base = made(tmp_path, tools)
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES))
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    more = base.headers / "include" / "more.if"
    more.symlink_to("web.if") if link else more.write_text("")
    assert known_base(store_facts.fingerprint, tmp_path) is None


@pytest.mark.toolchain
def test_a_changed_base_is_read_again_from_the_guest_and_the_user_is_told(
    tmp_path: Path, tools: Toolchain
) -> None:
    base, notes = made(tmp_path, tools), Notes()
    base.flat.write_text("(type evil_t)\n")
    guest = StoreGuest()
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of(FILES))
    again = ensure_base(guest, store_facts, tools, tmp_path, notes)
    assert not again.declares_type("evil_t") and again.declares_type("better_t")
    assert notes.notes == ["The cached base policy was changed: its digest differs, so selab reads it again."]


@pytest.mark.toolchain
def test_a_changed_module_of_the_store_is_not_linked(tmp_path: Path, tools: Toolchain) -> None:
    base = made(tmp_path, tools)
    (base.directory / "cil" / "web.cil").write_text("(type evil_t)\n")
    with pytest.raises(SelabError, match="was changed"):
        _ = base.store
    assert known_base(_fingerprint_of(FILES), tmp_path) is None


@pytest.mark.toolchain
@pytest.mark.parametrize(
    "name",
    [
        "usr/share/selinux/devel/include/web.if",
        "etc/selinux/test/contexts/lxc_contexts",
        "etc/selinux/test/contexts/files/file_contexts.subs_dist",
    ],
)
def test_guests_with_other_headers_or_contexts_do_not_share_a_base(
    tmp_path: Path, tools: Toolchain, name: str
) -> None:
    for text in (b"x", b"y"):
        keep_base(archive(FILES | {name: text}), "test", tools, tmp_path)
    assert len(list((tmp_path / "bases").iterdir())) == 2


@pytest.mark.toolchain
def test_the_guests_survey_and_its_archive_have_one_fingerprint(tmp_path: Path, tools: Toolchain) -> None:
    """The survey's script, over the files that the archive has."""
    root = tmp_path / "root"
    others = {
        "etc/selinux/config": b"SELINUXTYPE=test\n",
        "etc/selinux/semanage.conf": b"",
        "sys/fs/selinux/policyvers": b"33",
        "sys/fs/selinux/mls": b"1",
    }
    headers = {
        f"usr/share/selinux/devel/include/{name}": b"z"
        for name in ("a-b.if", "a.if", "a b.if", "B/c.if", "\xe9.if")
    }
    for name, data in (FILES | others | headers).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    text = survey().script
    for place in ("/etc/selinux", "/sys/fs/selinux", "/var/lib/selinux", "/run/selab", "/usr/share/selinux"):
        text = text.replace(place, f"{root}{place}")
    done = subprocess.run(["sh", "-c", text, "sh"], capture_output=True, timeout=20)
    fingerprint = survey().read(Completed(("sh",), done.returncode, done.stdout, done.stderr)).fingerprint
    keep_base(archive(FILES | headers), "test", tools, tmp_path)
    assert known_facts(fingerprint, tmp_path)


def known_facts(fingerprint: str, cache: Path) -> bool:
    """Whether the cache has the base policy with that fingerprint."""
    return next((cache / "bases").iterdir()).name.startswith(fingerprint[:16])


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
