"""`selab show` shows a run of the history again."""

from __future__ import annotations

import json

import pytest

from tests.unit.test_history import LINE

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("words", "number"), [((), 1), (("last",), 1), (("last~1",), 0)])
def test_a_run_is_found_by_its_place(
    selab: Selab, runs: list[str], capsys: Capture, words: tuple[str, ...], number: int
) -> None:
    assert selab("show", "--json", *words) == 0
    assert json.loads(capsys.readouterr().out)["run"] == runs[number]


def test_the_raw_records_are_those_of_the_window(selab: Selab, runs: list[str], capsys: Capture) -> None:
    selab("show", "--raw")
    assert capsys.readouterr().out == LINE.decode() + "\n"


def test_a_run_on_a_terminal_has_its_verdict_and_its_denials(
    selab: Selab, runs: list[str], capsys: Capture
) -> None:
    selab("show")
    shown = capsys.readouterr().out
    assert "FAIL" in shown and "etc_t" in shown


def test_an_unknown_run_is_wrong_input(selab: Selab, runs: list[str], capsys: Capture) -> None:
    assert selab("show", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
