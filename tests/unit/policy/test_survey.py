"""What the survey reports about a guest's policy store, and its fingerprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.guest import script
from selab.policy.survey import (
    MAX_FACTS,
    StoreChanged,
    StoreFacts,
    keep_facts,
    same_store,
    stored_facts,
    survey,
)
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


def test_facts_are_kept_for_each_candidate_the_latest_first(tmp_path: Path) -> None:
    apache, redis = facts(STORE, ("apache",)), facts(STORE, ("redis",))
    for each in (apache, redis, replace(apache, signature="later")):
        keep_facts(each, tmp_path / "store.json")
    assert stored_facts(tmp_path / "store.json") == (replace(apache, signature="later"), redis)


def test_facts_of_few_candidates_are_kept(tmp_path: Path) -> None:
    for number in range(MAX_FACTS + 1):
        keep_facts(facts(STORE, (f"web{number}",)), tmp_path / "store.json")
    assert [each.without for each in stored_facts(tmp_path / "store.json")] == [
        (f"web{number}",) for number in range(MAX_FACTS, 0, -1)
    ]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"facts": [{}]}', '{"facts": [{"without": 1}]}', '{"facts": 1}']
)
def test_invalid_facts_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    assert stored_facts(tmp_path / "store.json") == ()
