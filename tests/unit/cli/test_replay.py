"""`selab replay` shows what a candidate would decide about recorded denials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from selab.policy.query.decide import Access, Cause, Decision
from selab.run.replay import Replay
from tests.unit.documents import CLASSIFIED, document

from .conftest import Selab

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def replayed(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The candidates that were asked; each allows one of two accesses."""
    candidates: list[str] = []
    decisions = tuple(
        Decision(Access("u:r:web_t:s0", f"u:r:{name}_t:s0", "file", "read"), cause)
        for name, cause in (("etc", Cause.NONE), ("shadow", Cause.RULE))
    )

    def replay_offline(
        project: object, records: object, policies: Sequence[str], *rest: object, **options: object
    ) -> Replay:
        candidates.extend(policies)
        return Replay(decisions)

    monkeypatch.setattr("selab.analysis.offline.replay_offline", replay_offline)
    return candidates


@pytest.mark.parametrize(("words", "policy"), [((), "web"), (("last", "--policy", "other"), "other")])
def test_the_runs_own_candidate_is_asked_unless_another_is_named(
    selab: Selab, replayed: list[str], words: tuple[str, ...], policy: str
) -> None:
    assert selab("replay", *words) == 0
    assert replayed == [policy]


def test_what_stays_denied_is_shown_with_its_cause(selab: Selab, capsys: Capture) -> None:
    selab("replay")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert ["shadow_t" in line and "missing rule" in line for line in lines] == [True]


def test_json_has_each_decision(selab: Selab, capsys: Capture) -> None:
    selab("replay", "--json")
    decisions = json.loads(capsys.readouterr().out)["decisions"]
    assert [(row["target"], row["allowed"]) for row in decisions] == [
        ("u:r:etc_t:s0", True),
        ("u:r:shadow_t:s0", False),
    ]


def test_a_log_needs_the_name_of_a_candidate(selab: Selab, tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text("")
    assert selab("replay", str(tmp_path / "audit.log")) == 2


def test_what_the_scenario_says_is_shown_next_to_the_cause(
    selab: Selab, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = [
        Decision(Access("u:r:web_t:s0", f"u:r:{name}_t:s0", "file", "read"), cause)
        for name, cause in (("proc", Cause.RULE), ("shadow", Cause.NONE))
    ]
    rulings = document(**CLASSIFIED).rulings
    monkeypatch.setattr(
        "selab.analysis.offline.replay_offline", lambda *words, **options: Replay(tuple(decisions), rulings)
    )
    selab("replay")
    out = " ".join(capsys.readouterr().out.split())
    assert "missing rule; tolerated by * -> proc_t:file { read }: it only counts processors" in out
    assert (
        "would be allowed, but is expected by web_t -> shadow_t:file { read }: passwords stay secret" in out
    )


def test_json_has_what_the_scenario_says(selab: Selab, capsys: Capture) -> None:
    selab("replay", "--json")
    decisions = json.loads(capsys.readouterr().out)["decisions"]
    assert [(row["classification"], row["entry"]) for row in decisions] == [("unexpected", "")] * 2
