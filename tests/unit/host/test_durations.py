"""How long steps took last time: by their kind, bounded, and never in anybody's way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.host.durations import LONGEST_NAME, MOST, Durations, kind_of


def again(file: Path) -> Durations:
    return Durations(file)


def test_the_next_invocation_knows_it(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "d.json")
    durations.took("Starting the container", 6.04)
    durations.keep()
    assert again(tmp_path / "d.json").last("Starting the container") == 6.0


def test_a_step_that_was_never_done_is_not_known() -> None:
    assert Durations().last("Starting the container") is None


def test_the_last_time_counts(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "d.json")
    durations.took("x", 6)
    durations.took("x", 3)
    assert durations.last("x") == 3


@pytest.mark.parametrize(
    ("step", "other"),
    [
        ("Round 1: permissive", "Round 2: permissive"),
        (
            "Getting the image selab/httpd:85dcaccf43ee into",
            "Getting the image selab/httpd:6ef0043337d7 into",
        ),
        ("Getting the image nginx:1.26 into", "Getting the image nginx:1.27 into"),
        ("Building the box selab-debian13-22002717756c", "Building the box selab-debian13-0123456789ab"),
    ],
)
def test_what_differs_from_time_to_time_does_not_count(step: str, other: str) -> None:
    assert kind_of(step) == kind_of(other)


@pytest.mark.parametrize(
    ("step", "other"),
    [
        ("Round 1: permissive", "Round 1: enforcing"),
        (
            "Getting the image selab/httpd:85dcaccf43ee into",
            "Getting the image selab/redis:85dcaccf43ee into",
        ),
        ("Checking web", "Checking db"),
    ],
)
def test_what_takes_another_time_does(step: str, other: str) -> None:
    assert kind_of(step) != kind_of(other)


@given(st.text())
def test_a_kind_is_short(step: str) -> None:
    assert len(kind_of(step)) <= LONGEST_NAME


def test_of_endless_steps_the_last_are_kept(tmp_path: Path) -> None:
    for half in ("a", "b"):
        durations = again(tmp_path / "d.json")
        for number in range(MOST):
            durations.took(f"{half}{number}x", 1)
        durations.keep()
    stored = json.loads((tmp_path / "d.json").read_text())
    assert (len(stored), set(stored) == {f"b{number}x" for number in range(MOST)}) == (MOST, True)


def test_what_another_selab_wrote_meanwhile_stays(tmp_path: Path) -> None:
    mine, theirs = again(tmp_path / "d.json"), again(tmp_path / "d.json")
    for durations, step in ((theirs, "theirs"), (mine, "mine")):
        durations.took(step, 5)
        durations.keep()
    assert (again(tmp_path / "d.json").last("mine"), again(tmp_path / "d.json").last("theirs")) == (5, 5)


def test_where_it_cannot_be_written_nothing_happens(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "missing" / "d.json")
    durations.took("x", 5)
    durations.keep()
    assert list(tmp_path.iterdir()) == []


def test_without_steps_nothing_is_written(tmp_path: Path) -> None:
    Durations(tmp_path / "d.json").keep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ['"6"', "true", "-1", "1e9", "NaN", "Infinity", "null", "[]", "{}"])
def test_what_is_no_duration_is_not_believed(value: str, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(f'{{"x": {value}, "y": 5}}')
    assert (again(tmp_path / "d.json").last("x"), again(tmp_path / "d.json").last("y")) == (None, 5)


@pytest.mark.parametrize("text", ["", "[]", "{", "\0"])
def test_a_damaged_file_counts_as_absent(text: str, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(text)
    assert again(tmp_path / "d.json").last("x") is None
