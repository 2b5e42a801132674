"""Base policies in the cache: which one serves, and when it is read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import AnswerTooLong, SelabError
from selab.policy import base as base_module
from selab.policy.base import (
    FACTS,
    base_without,
    directory_name,
    ensure_base,
    keep_base,
    known_base,
    newest_base,
)
from selab.policy.survey import StoreFacts, keep_facts
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import write_base
from tests.unit.fakes import FakeGuest, Notes
from tests.unit.policy.store import FILES, StoreGuest, archive, fingerprint_of_files, made


def test_a_base_that_was_made_from_a_file_system_serves_the_guest_that_has_it(
    tmp_path: Path, flattener: Toolchain
) -> None:
    fingerprint = fingerprint_of_files()
    keep_base(archive(FILES), "test", flattener, tmp_path)
    store_facts = StoreFacts("test", 33, True, False, fingerprint)
    assert ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress()).facts == store_facts


def test_the_facts_of_the_last_guest_are_known_without_it(tmp_path: Path, flattener: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files(), without=("a", "b"))
    keep_base(archive(FILES), "test", flattener, tmp_path)
    ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path)
    assert known is not None and known.facts == store_facts


def test_what_ones_own_guest_says_goes_before_what_anothers_says(
    tmp_path: Path, flattener: Toolchain
) -> None:
    """Two projects whose guests have one base policy have a candidate and a signature each."""
    mine = StoreFacts("test", 33, True, False, fingerprint_of_files(), without=("mine",), signature="m")
    keep_base(archive(FILES), "test", flattener, tmp_path)
    keep_facts(mine, tmp_path / "store.json")
    ensure_base(
        FakeGuest(), replace(mine, without=("other",), signature="o"), flattener, tmp_path, Progress()
    )
    known = known_base(mine.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == mine


def test_what_ones_own_guest_said_of_another_store_does_not_count(
    tmp_path: Path, flattener: Toolchain
) -> None:
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files())
    keep_base(archive(FILES), "test", flattener, tmp_path)
    keep_facts(replace(store_facts, fingerprint="f" * 64), tmp_path / "store.json")
    ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == store_facts


def test_another_projects_base_serves(tmp_path: Path, flattener: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files(), without=("web",))
    keep_base(archive(FILES), "test", flattener, tmp_path)
    ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    newest = newest_base(tmp_path)
    assert newest is not None and newest.facts == store_facts


def test_an_empty_cache_has_no_base(tmp_path: Path) -> None:
    assert newest_base(tmp_path) is None


def test_a_base_that_another_process_has_cached_meanwhile_stays(tmp_path: Path, flattener: Toolchain) -> None:
    before = made(tmp_path, flattener).flat.stat().st_ino
    assert made(tmp_path, flattener).flat.stat().st_ino == before


@pytest.mark.parametrize("name", ["flat.cil", "devel/include/web.if", "contexts/lxc_contexts"])
def test_a_changed_file_of_the_same_size_and_time_is_not_used(
    tmp_path: Path, flattener: Toolchain, name: str
) -> None:
    base = made(tmp_path, flattener)
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files())
    ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    path = base.directory / name
    stat = path.stat()
    path.write_bytes(b"#" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known_base(store_facts.fingerprint, tmp_path) is None


@pytest.mark.parametrize("link", [False, True])
def test_a_base_with_one_more_file_is_not_used(tmp_path: Path, flattener: Toolchain, link: bool) -> None:
    base = made(tmp_path, flattener)
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files())
    ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    more = base.headers / "include" / "more.if"
    more.symlink_to("web.if") if link else more.write_text("")
    assert known_base(store_facts.fingerprint, tmp_path) is None


@pytest.mark.parametrize("change", [lambda text: text[:-9], lambda text: "(type evil_t)\n"])
def test_a_changed_base_is_read_again_from_the_guest_and_the_user_is_told(
    tmp_path: Path, flattener: Toolchain, change: Callable[[str], str]
) -> None:
    base, notes = made(tmp_path, flattener), Notes()
    whole = base.flat.read_text()
    base.flat.write_text(change(whole))
    guest = StoreGuest()
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files())
    again = ensure_base(guest, store_facts, flattener, tmp_path, notes)
    assert again.flat.read_text() == whole
    assert notes.notes == ["The cached base policy was changed: its digest differs, so selab reads it again."]


def test_a_changed_module_of_the_store_is_not_linked(tmp_path: Path, flattener: Toolchain) -> None:
    base = made(tmp_path, flattener)
    (base.directory / "cil" / "web.cil").write_text("(type evil_t)\n")
    with pytest.raises(SelabError, match="was changed"):
        _ = base.store
    assert known_base(fingerprint_of_files(), tmp_path) is None


def test_a_store_that_changes_while_it_is_read_is_an_error(tmp_path: Path, flattener: Toolchain) -> None:
    surveyed = StoreFacts("test", 33, True, False, "f" * 64)
    with pytest.raises(SelabError, match="^The guest's policy store changed while it was read"):
        ensure_base(StoreGuest(), surveyed, flattener, tmp_path, Notes())


@pytest.mark.parametrize(("code", "message"), [(2, "could not be copied"), (0, "could not be unpacked")])
def test_a_store_that_does_not_arrive_is_an_error(
    tmp_path: Path, flattener: Toolchain, code: int, message: str
) -> None:
    guest = FakeGuest()
    guest.answer("tar", code=code)
    with pytest.raises(SelabError, match=f"^The guest's policy {message}"):
        ensure_base(guest, StoreFacts("test", 33, True, False, "f" * 64), flattener, tmp_path, Notes())


def test_a_store_that_is_too_long_is_an_error(
    tmp_path: Path, flattener: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_module, "MAX_STORE", 10)
    guest = FakeGuest()
    guest.answer("tar", out="12345678901")
    with pytest.raises(AnswerTooLong):
        ensure_base(guest, StoreFacts("test", 33, True, False, "f" * 64), flattener, tmp_path, Notes())


def test_the_base_policy_of_a_projects_guest_is_known_for_each_candidate(
    tmp_path: Path, flattener: Toolchain
) -> None:
    keep_base(archive(FILES), "test", flattener, tmp_path)
    mine = StoreFacts("test", 33, True, False, fingerprint_of_files(), without=("mine",))
    keep_facts(mine, tmp_path / "store.json")
    known = base_without(("mine",), tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == mine
    assert base_without(("other",), tmp_path, tmp_path / "store.json") is None


def test_the_newest_base_is_the_one_that_was_used_last(tmp_path: Path, flattener: Toolchain) -> None:
    headers = {"usr/share/selinux/devel/include/web.if": b"other"}
    for number, files in enumerate((FILES, FILES | headers)):
        keep_base(archive(files), "test", flattener, tmp_path / str(number))
        (directory,) = (tmp_path / str(number) / "bases").iterdir()
        shutil.copytree(directory, tmp_path / "both" / "bases" / directory.name)
    first, last = sorted((tmp_path / "both" / "bases").iterdir())
    for time, directory in ((2000, last), (1000, first)):
        keep_facts(StoreFacts("test", 33, True, False, directory.name[:16]), directory / "facts.json")
        os.utime(directory / "facts.json", (time, time))
    newest = newest_base(tmp_path / "both")
    assert newest is not None and newest.directory == last


def test_a_base_policy_that_lacks_modules_of_its_guest_is_the_newest_only_if_there_is_no_other(
    tmp_path: Path,
) -> None:
    whole, lacking = (write_base(tmp_path / "bases" / directory_name(digit * 64)) for digit in "ab")
    for time, base, replaced in ((1000, whole, ()), (2000, lacking, ("bind",))):
        facts = StoreFacts(
            "test", 33, True, False, base.directory.name[:1] * 64, without=replaced, replaced=replaced
        )
        keep_facts(facts, base.directory / FACTS)
        os.utime(base.directory / FACTS, (time, time))
    newest = newest_base(tmp_path)
    assert newest is not None and newest.directory == whole.directory
    shutil.rmtree(whole.directory)
    newest = newest_base(tmp_path)
    assert newest is not None and newest.directory == lacking.directory
