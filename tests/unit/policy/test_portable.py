"""A base policy as a file: what an import keeps of it, and when there is nothing to import."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.host.private import write_private
from selab.policy import portable
from selab.policy.base import BasePolicy, base_without, known_base, newest_base
from selab.policy.integrity import digests
from selab.policy.portable import digest_of, export, keep
from selab.policy.portable_file import PortableBase, pack, read, read_file
from selab.policy.toolchain import Toolchain
from tests.unit.policy.store import ACTIVE, FILES, in_cache

USERS = {f"{ACTIVE}/users.local": b"user u roles r;\n"}
"""Local modifications that a linked policy leaves out."""
SYSTEM = "CentOS Stream 9"


@pytest.fixture
def origin(tmp_path: Path, flattener: Toolchain) -> BasePolicy:
    """A base policy that selab read from a guest of another machine."""
    facts = {"system": SYSTEM, "signature": "s", "without": ("web",), "dontaudit": False, "policyvers": 31}
    base = in_cache(tmp_path / "theirs", flattener, FILES | USERS, **facts)
    return replace(base, dangling=frozenset({"b_t", "a_t"}), denies=True, limits_ioctl=True)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache of this machine, which is empty."""
    return tmp_path / "mine"


def content(path: Path) -> dict[str, str]:
    return digests(path) if path.is_dir() else {}


def test_an_imported_base_policy_has_the_files_of_the_exported_one(origin: BasePolicy, cache: Path) -> None:
    stored, is_new = keep(read(export(origin), "file"), cache)
    files = {name: digest for name, digest in content(origin.directory).items() if name.count("json") == 0}
    assert is_new and files == {
        name: digest for name, digest in content(stored.directory).items() if name.count("json") == 0
    }
    assert {path.name.partition(".")[0] for path in stored.store} == {"base", "web", "zz-local"}


def test_an_imported_base_policy_answers_as_the_exported_one(origin: BasePolicy, cache: Path) -> None:
    """What identifies the store and the candidates of the other machine's guest stays there."""
    stored, _ = keep(read(export(origin), "file"), cache)
    expected = replace(
        origin,
        facts=replace(origin.facts, signature="", without=()),
        directory=stored.directory,
        imported=digest_of(origin),
    )
    assert stored == expected


def test_an_import_and_an_export_keep_the_digest_and_every_byte(origin: BasePolicy, cache: Path) -> None:
    data = export(origin)
    stored, _ = keep(read(data, "file"), cache)
    assert (digest_of(stored), export(stored)) == (digest_of(origin), data)


def test_the_digest_covers_the_facts(origin: BasePolicy) -> None:
    assert digest_of(replace(origin, facts=replace(origin.facts, mls=False))) != digest_of(origin)


def test_an_imported_base_policy_serves_no_guest(origin: BasePolicy, cache: Path) -> None:
    """Only what selab read from a guest has the content that the fingerprint promises."""
    stored, _ = keep(read(export(origin), "file"), cache)
    own = cache / "store.json"
    assert known_base(stored.facts.fingerprint, cache) is None
    assert base_without((), cache, own) is None
    assert newest_base(cache) == stored


def test_results_of_an_imported_base_policy_have_keys_of_their_own(origin: BasePolicy, cache: Path) -> None:
    stored, _ = keep(read(export(origin), "file"), cache)
    assert stored.facts.fingerprint == origin.facts.fingerprint and stored.key != origin.key


def test_a_second_import_changes_nothing(origin: BasePolicy, cache: Path) -> None:
    stored, _ = keep(read(export(origin), "file"), cache)
    inode = stored.directory.stat().st_ino
    assert keep(read(export(origin), "file"), cache) == (stored, False)
    assert stored.directory.stat().st_ino == inode


def test_the_same_base_policy_of_a_guest_is_not_imported(
    origin: BasePolicy, cache: Path, flattener: Toolchain
) -> None:
    own = in_cache(cache, flattener, FILES | USERS)
    assert keep(read(export(origin), "file"), cache) == (own, False)
    assert not (cache / "imported").exists()


def changed(base: BasePolicy) -> PortableBase:
    """The base policy with another type, under the fingerprint of `base`."""
    whole = read(export(base), "file")
    files = {**whole.files, "flat.cil": b"(type evil_t)\n"}
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return replace(whole, manifest=whole.manifest.model_copy(update={"files": listed}), files=files)


def from_guest(origin: BasePolicy, cache: Path, flattener: Toolchain) -> BasePolicy:
    return in_cache(cache, flattener, FILES | USERS)


def from_file(origin: BasePolicy, cache: Path, flattener: Toolchain) -> BasePolicy:
    return keep(read(export(origin), "file"), cache)[0]


@pytest.mark.parametrize("existing", [from_guest, from_file])
def test_an_existing_base_policy_is_not_replaced_by_another_of_its_fingerprint(
    origin: BasePolicy, cache: Path, flattener: Toolchain, existing: Callable[..., BasePolicy]
) -> None:
    stored = existing(origin, cache, flattener)
    before = content(cache / "bases"), content(cache / "imported")
    with pytest.raises(InputError, match="other content") as caught:
        keep(read(pack(changed(origin)), "file"), cache)
    assert str(stored.directory) in caught.value.detail
    assert (content(cache / "bases"), content(cache / "imported")) == before


@pytest.mark.parametrize("name", ["flat.cil", "cil/web.cil", "devel/include/web.if"])
def test_a_damaged_base_policy_is_imported_again(origin: BasePolicy, cache: Path, name: str) -> None:
    stored, _ = keep(read(export(origin), "file"), cache)
    (stored.directory / name).write_text("(type evil_t)\n")
    assert keep(read(export(origin), "file"), cache) == (stored, True)
    assert (stored.directory / name).read_bytes() == (origin.directory / name).read_bytes()


def test_an_import_that_cannot_be_stored_leaves_nothing(
    origin: BasePolicy, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: object) -> None:
        raise OSError("No space left on device")

    whole = read(export(origin), "file")
    monkeypatch.setattr(portable, "keep_facts", full)
    with pytest.raises(SelabError, match="cannot be stored"):
        keep(whole, cache)
    assert list((cache / "imported").iterdir()) == []


def test_a_changed_base_policy_is_not_exported(origin: BasePolicy) -> None:
    (origin.directory / "flat.cil").write_text("(type evil_t)\n")
    with pytest.raises(SelabError, match="cannot be exported"):
        export(origin)


def test_unusual_facts_of_a_guest_are_not_exported(origin: BasePolicy) -> None:
    with pytest.raises(SelabError, match="cannot be exported") as caught:
        export(replace(origin, facts=replace(origin.facts, policyvers=0)))
    assert "policyvers" in caught.value.detail


def test_a_name_of_a_distribution_is_exported_in_ascii(origin: BasePolicy) -> None:
    whole = read(export(replace(origin, facts=replace(origin.facts, system="Débian"))), "file")
    assert whole.manifest.system == "D?bian"


def test_a_file_may_be_named_by_a_link(origin: BasePolicy, tmp_path: Path) -> None:
    write_private(tmp_path / "file", export(origin))
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link").manifest.system == SYSTEM


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        with pytest.raises(InputError):
            read_file(tmp_path / name)
