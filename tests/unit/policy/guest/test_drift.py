"""Tests how changes by hand are detected, with the script run against files of this machine, and reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.guest import script
from selab.policy.guest.drift import MODE, POLICY, SETTINGS, changes, in_words, settled
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import LOADED, PolicyGuest

SETTINGS_FILE = "/etc/docker/daemon.json"


class DriftGuest(PolicyGuest):
    """A guest with settings of its container runtime that are older than everything else."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.settings = self.path(SETTINGS_FILE)
        self.settings.parent.mkdir()
        self.settings.write_text("{}")
        os.utime(self.settings, (1000, 1000))

    def changes(self) -> frozenset[str]:
        return changes(SETTINGS_FILE).of(self)


@pytest.fixture
def guest(tmp_path: Path) -> DriftGuest:
    return DriftGuest(tmp_path)


def test_in_a_guest_that_has_had_no_run_nothing_was_changed(guest: DriftGuest) -> None:
    assert guest.changes() == frozenset()


def test_what_is_as_it_was_left_was_not_changed(guest: DriftGuest) -> None:
    guest.has(loaded="digest 7\n", was="0\n")
    assert guest.changes() == frozenset()


def test_a_policy_that_was_loaded_by_hand_shows_in_the_kernels_counter(guest: DriftGuest) -> None:
    guest.has(loaded="digest 6\n", was="0\n")
    assert guest.changes() == {POLICY}


def test_another_mode_than_the_one_that_was_put_back_was_set_by_hand(guest: DriftGuest) -> None:
    guest.has(was="1\n")
    assert guest.changes() == {MODE}


def test_a_mode_is_told_once(guest: DriftGuest) -> None:
    guest.has(was="1\n")
    guest.changes()
    assert guest.changes() == frozenset()


def test_the_mode_at_the_first_run_is_the_one_that_a_change_is_compared_with(guest: DriftGuest) -> None:
    guest.path("/run/selab").rmdir()
    guest.changes()
    guest.status(enforcing=True, policyload=7)
    assert guest.changes() == {MODE}


def test_the_mode_of_an_interrupted_run_was_not_set_by_hand(guest: DriftGuest) -> None:
    guest.has(was="0\n", mode="0\n")
    guest.status(enforcing=True, policyload=7)
    assert guest.changes() == frozenset()


def test_settings_that_are_newer_than_the_previous_run_were_edited(guest: DriftGuest) -> None:
    guest.has(loaded="digest 7\n", was="0\n")
    later = guest.path(LOADED).stat().st_mtime + 5
    os.utime(guest.settings, (later, later))
    assert guest.changes() == {SETTINGS}


@pytest.mark.parametrize("record", ["", "digest\n"])
def test_without_a_record_of_a_load_neither_policy_nor_settings_were_changed(
    guest: DriftGuest, record: str
) -> None:
    guest.has(loaded=record, was="0\n")
    os.utime(guest.path(LOADED), (500, 500))
    assert guest.changes() == frozenset()


def test_all_changes_are_reported_together(guest: DriftGuest) -> None:
    guest.has(loaded="digest 6\n", was="1\n")
    os.utime(guest.path(LOADED), (500, 500))
    assert guest.changes() == {POLICY, MODE, SETTINGS}


def test_an_unknown_change_makes_no_sense() -> None:
    guest = FakeGuest()
    guest.answer(script("policy/guest/find-changes"), out="mode\nweather\n")
    with pytest.raises(SelabError, match="makes no sense"):
        changes(SETTINGS_FILE).of(guest)


def test_settings_that_selab_has_mended_are_its_own(guest: DriftGuest) -> None:
    guest.has(loaded="digest 7\n", was="0\n")
    os.utime(guest.path(LOADED), (1000, 1000))
    os.utime(guest.settings, (2000, 2000))
    settled().of(guest)
    assert guest.changes() == frozenset()


def test_settings_that_are_not_there_were_not_edited(guest: DriftGuest) -> None:
    guest.has(loaded="digest 7\n", was="0\n")
    guest.settings.unlink()
    assert guest.changes() == frozenset()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (POLICY, "a policy was loaded, or a boolean set"),
        (MODE, "the guest's mode was changed"),
        (SETTINGS, "/etc/x was edited"),
    ],
)
def test_each_is_a_sentence(change: str, words: str) -> None:
    assert in_words(frozenset({change}), "/etc/x") == [f"Changed by hand since the last run: {words}."]
