"""Steps: what a listener sees of them, and how long they took."""

from __future__ import annotations

import pytest

from selab.progress import Progress


class Recorder:
    """A listener that records what it sees."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []
        self.failures: list[str] = []

    def started(self, step: str, depth: int) -> None:
        self.events.append(("started", step, depth))

    def noted(self, text: str, depth: int) -> None:
        self.events.append(("noted", text, depth))

    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None:
        self.events.append(("ended", step, depth))
        self.failures += [step] if failed else []


def test_a_step_inside_a_step_is_deeper() -> None:
    recorder = Recorder()
    progress = Progress(recorder)
    with progress.step("outer"), progress.step("inner"):
        progress.note("a note")
    assert recorder.events == [
        ("started", "outer", 0),
        ("started", "inner", 1),
        ("noted", "a note", 2),
        ("ended", "inner", 1),
        ("ended", "outer", 0),
    ]


def test_a_step_fails_with_its_block() -> None:
    recorder = Recorder()
    progress = Progress(recorder)
    with pytest.raises(KeyError), progress.step("fails"):
        raise KeyError
    with progress.step("works"):
        pass
    assert recorder.failures == ["fails"]
    assert recorder.events[-1] == ("ended", "works", 0)


def test_the_seconds_of_a_stage_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 1.0, 5.0, 7.0, 8.0, 9.0])
    monkeypatch.setattr("selab.progress.time.monotonic", lambda: next(clock))
    progress = Progress()
    for key in ("vm", "vm", ""):
        with progress.step("a stage", key):
            pass
    assert progress.timings == {"vm": 3.0}


def test_the_stages_are_in_the_order_in_which_they_began() -> None:
    progress = Progress()
    with progress.step("the whole", "policy"), progress.step("a part", "link"):
        pass
    assert [*progress.timings] == ["policy", "link"]


def test_the_time_since_the_beginning_is_more_than_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 2.0, 4.0, 9.0])
    monkeypatch.setattr("selab.progress.time.monotonic", lambda: next(clock))
    progress = Progress()
    with progress.step("a stage", "vm"):
        pass
    assert (progress.timings, progress.seconds) == ({"vm": 2.0}, 8.0)
