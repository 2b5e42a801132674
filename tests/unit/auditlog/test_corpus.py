"""Real records from public sources (tests/corpus/SOURCES.md), each file against what a person found in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selab.auditlog.events import read_events
from selab.auditlog.summary import summarise

CORPUS = Path(__file__).parents[2] / "corpus"
LOGS = sorted(CORPUS.glob("*.log"))


def lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_real_log_gives_what_is_expected(log: Path) -> None:
    assert summarise(lines(log)).to_json() == json.loads(log.with_suffix(".json").read_text())


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_real_event_formats_to_the_same_event(log: Path) -> None:
    for event in read_events(lines(log)):
        assert [again.records for again in read_events(event.format())] == [event.records]


def test_every_log_has_a_source() -> None:
    sources = (CORPUS / "SOURCES.md").read_text()
    assert [log.name for log in LOGS if f"`{log.name}`" not in sources] == []


def test_no_expectation_is_without_a_log() -> None:
    assert {file.stem for file in CORPUS.glob("*.json")} == {log.stem for log in LOGS}
