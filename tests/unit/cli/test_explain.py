"""`selab explain` shows the advice on each denial of a run, or on one."""

from __future__ import annotations

import json

import pytest

from selab.advice.advise import Advice
from selab.history import History, Record
from selab.policy.query.decide import Cause
from selab.project import Project
from tests.unit.advice.conftest import need
from tests.unit.documents import CLASSIFIED, MISSING, document

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def advice(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    advised = [
        Advice(need("web_t", f"{name}_t", "file", "read", number=number), "no rule", Cause.RULE, ())
        for number, name in enumerate(("first", "second"), 1)
    ]
    monkeypatch.setattr("selab.analysis.explain.explain", lambda *words: advised)


@pytest.mark.parametrize(
    ("words", "targets"),
    [(("last",), ["first_t", "second_t"]), (("last", "2"), ["second_t"])],
    ids=["all", "one"],
)
def test_advice_is_on_all_denials_or_on_one(
    selab: Selab, capsys: Capture, words: tuple[str, ...], targets: list[str]
) -> None:
    assert selab("explain", *words) == 0
    shown = capsys.readouterr().out
    assert [name for name in ("first_t", "second_t") if name in shown] == targets


def test_json_has_an_entry_for_each_denial(selab: Selab, capsys: Capture) -> None:
    selab("explain", "--json")
    assert len(json.loads(capsys.readouterr().out)["advice"]) == 2


def test_a_denial_that_the_run_has_not_is_wrong_input(selab: Selab) -> None:
    assert selab("explain", "last", "3") == 2


def test_a_missing_denial_is_named_with_its_entry(selab: Selab, project: Project, capsys: Capture) -> None:
    History.of(project).keep(Record(document(**CLASSIFIED), {}, {}, b""))
    selab("explain")
    out = capsys.readouterr().out
    assert f"Expected, but did not occur: {MISSING['entry']}" in out and MISSING["reason"] in out


def test_json_has_the_missing_denials(selab: Selab, project: Project, capsys: Capture) -> None:
    History.of(project).keep(Record(document(**CLASSIFIED), {}, {}, b""))
    selab("explain", "--json")
    assert json.loads(capsys.readouterr().out)["missing"] == [MISSING]
