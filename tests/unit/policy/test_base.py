"""The survey, and a base policy made from a tar of a policy store."""

from __future__ import annotations

import bz2
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.guest import script
from selab.policy.base import (
    BasePolicy,
    StoreChanged,
    StoreFacts,
    ensure_base,
    keep_base,
    keep_facts,
    known_base,
    newest_base,
    same_store,
    survey,
)
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import BASE
from tests.unit.fakes import FakeGuest

HEAD = "type test\npolicyvers 33\nmls 1\nexpand 0\n"
STORE = {"modules/100/base/cil": "a", "modules/100/web/cil": "b", "ports.local": "c"}


def facts(store: dict[str, str], without: tuple[str, ...] = (), head: str = HEAD) -> StoreFacts:
    guest = FakeGuest()
    guest.answer(
        script("policy/survey"),
        out=head + "store\nseen\n" + "".join(f"{digest}  {path}\n" for path, digest in store.items()),
    )
    return survey(without).of(guest)


def test_the_guest_says_what_it_has() -> None:
    store = facts(STORE)
    assert (store.selinux_type, store.policyvers, store.mls, store.expand_check, store.dontaudit) == (
        "test",
        33,
        True,
        False,
        True,
    )


def test_dontaudit_rules_that_are_switched_off_are_noticed() -> None:
    assert not facts(STORE, head=HEAD + "dontaudit off\n").dontaudit


@pytest.mark.parametrize(
    "change",
    [
        {"modules/100/web/cil": "x"},
        {"ports.local": "x"},
        {"modules/400/new/cil": "x"},
        {"modules/disabled/web": "x"},
    ],
)
def test_the_fingerprint_changes_with(change: dict[str, str]) -> None:
    assert facts(STORE | change).fingerprint != facts(STORE).fingerprint


@pytest.mark.parametrize("path", ["modules/50/web/cil", "modules/disabled/other"])
def test_the_fingerprint_does_not_change_with(path: str) -> None:
    assert facts(STORE | {path: "x"}).fingerprint == facts(STORE).fingerprint


def test_a_module_that_is_installed_and_left_out_is_as_if_it_was_not_installed() -> None:
    assert (
        facts(STORE | {"modules/400/mine/cil": "x"}, ("mine",)).fingerprint
        == facts(STORE, ("mine",)).fingerprint
    )


def test_a_store_that_changed_is_not_the_same() -> None:
    guest = FakeGuest()
    guest.answer(script("policy/same-store"), "test", "abc", code=8)
    with pytest.raises(StoreChanged):
        same_store(replace(facts(STORE), signature="abc")).of(guest)


@pytest.mark.parametrize("output", ["", "type test\nstore\nseen\n", HEAD + "store\nseen\n"])
def test_an_answer_without_a_store_is_an_error(output: str) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/survey"), out=output)
    with pytest.raises(SelabError, match="which policy store"):
        survey().of(guest)


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
    "etc/selinux/test/contexts/files/file_contexts": b"y",
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
def test_headers_and_contexts_are_kept(tmp_path: Path, tools: Toolchain) -> None:
    base = made(tmp_path, tools)
    assert (base.headers / "include" / "web.if").exists() and (
        base.directory / "contexts" / "files" / "file_contexts"
    ).exists()


@pytest.mark.toolchain
def test_a_base_that_was_made_from_a_file_system_serves_the_guest_that_has_it(
    tmp_path: Path, tools: Toolchain
) -> None:
    fingerprint = _fingerprint_of_files()
    keep_base(archive(FILES), "test", tools, tmp_path)
    store_facts = StoreFacts("test", 33, True, False, fingerprint)
    assert ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress()).facts == store_facts


@pytest.mark.toolchain
def test_the_facts_of_the_last_guest_are_known_without_it(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of_files(), without=("a", "b"))
    keep_base(archive(FILES), "test", tools, tmp_path)
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path)
    assert known is not None and known.facts == store_facts


@pytest.mark.toolchain
def test_what_ones_own_guest_says_goes_before_what_anothers_says(tmp_path: Path, tools: Toolchain) -> None:
    """Two projects whose guests have one base policy have a candidate and a signature each."""
    mine = StoreFacts("test", 33, True, False, _fingerprint_of_files(), without=("mine",), signature="m")
    keep_base(archive(FILES), "test", tools, tmp_path)
    keep_facts(mine, tmp_path / "store.json")
    ensure_base(FakeGuest(), replace(mine, without=("other",), signature="o"), tools, tmp_path, Progress())
    known = known_base(mine.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == mine


@pytest.mark.toolchain
def test_what_ones_own_guest_said_of_another_store_does_not_count(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of_files())
    keep_base(archive(FILES), "test", tools, tmp_path)
    keep_facts(replace(store_facts, fingerprint="f" * 64), tmp_path / "store.json")
    ensure_base(FakeGuest(), store_facts, tools, tmp_path, Progress())
    known = known_base(store_facts.fingerprint, tmp_path, tmp_path / "store.json")
    assert known is not None and known.facts == store_facts


def _fingerprint_of_files() -> str:
    import hashlib

    store = {
        path.removeprefix(f"{ACTIVE}/"): hashlib.sha256(data).hexdigest()
        for path, data in FILES.items()
        if path.startswith(ACTIVE)
    }
    return facts(store).fingerprint


@pytest.mark.toolchain
def test_another_projects_base_serves(tmp_path: Path, tools: Toolchain) -> None:
    store_facts = StoreFacts("test", 33, True, False, _fingerprint_of_files(), without=("web",))
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
