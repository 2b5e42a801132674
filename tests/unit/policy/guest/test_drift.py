"""Tests how changes by hand are detected, with the script run against files of this machine, and reported."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from selab.guest import Completed
from selab.policy.guest.drift import MODE, POLICY, SETTINGS, changes, in_words, settled


class Guest:
    """The files that the script looks at, below `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.run_dir, self.kernel = root, root / "run" / "selab", root / "selinux"
        self.run_dir.mkdir(parents=True)
        self.kernel.mkdir()
        self.settings = root / "daemon.json"
        self.settings.write_text("{}")
        os.utime(self.settings, (1000, 1000))
        self.now(mode="0", count=7)

    def now(self, *, mode: str, count: int) -> None:
        (self.kernel / "enforce").write_text(mode)
        (self.kernel / "status").write_bytes(struct.pack("=5I", 1, 2, int(mode), count, 0))

    def left(self, **files: str) -> None:
        """As a run has left them."""
        for name, text in files.items():
            (self.run_dir / name).write_text(text)

    def run(self, argv: list[str], **_: object) -> Completed:
        script = argv[2].replace("/run/selab", str(self.run_dir)).replace("/sys/fs/selinux", str(self.kernel))
        done = subprocess.run([*argv[:2], script, *argv[3:]], capture_output=True, check=False)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def changes(self) -> frozenset[str]:
        return changes(str(self.settings)).of(self)  # type: ignore[arg-type]


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_in_a_guest_that_has_had_no_run_nothing_was_changed(guest: Guest) -> None:
    assert guest.changes() == frozenset()


def test_what_is_as_it_was_left_was_not_changed(guest: Guest) -> None:
    guest.left(loaded="digest 7\n", was="0\n")
    assert guest.changes() == frozenset()


def test_a_policy_that_was_loaded_by_hand_shows_in_the_kernels_counter(guest: Guest) -> None:
    guest.left(loaded="digest 6\n", was="0\n")
    assert guest.changes() == {POLICY}


def test_another_mode_than_the_one_that_was_put_back_was_set_by_hand(guest: Guest) -> None:
    guest.left(was="1\n")
    assert guest.changes() == {MODE}


def test_a_mode_is_told_once(guest: Guest) -> None:
    guest.left(was="1\n")
    guest.changes()
    assert guest.changes() == frozenset()


def test_the_mode_of_an_interrupted_run_was_not_set_by_hand(guest: Guest) -> None:
    guest.left(was="0\n", mode="0\n")
    guest.now(mode="1", count=7)
    assert guest.changes() == frozenset()


def test_settings_that_are_newer_than_the_previous_run_were_edited(guest: Guest) -> None:
    guest.left(loaded="digest 7\n", was="0\n")
    later = (guest.run_dir / "loaded").stat().st_mtime + 5
    os.utime(guest.settings, (later, later))
    assert guest.changes() == {SETTINGS}


def test_settings_that_selab_has_mended_are_its_own(guest: Guest) -> None:
    guest.left(loaded="digest 7\n", was="0\n")
    os.utime(guest.run_dir / "loaded", (1000, 1000))
    os.utime(guest.settings, (2000, 2000))
    settled().of(guest)  # type: ignore[arg-type]
    assert guest.changes() == frozenset()


def test_settings_that_are_not_there_were_not_edited(guest: Guest) -> None:
    guest.left(loaded="digest 7\n", was="0\n")
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
