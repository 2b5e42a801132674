"""A whole run against a guest that answers one of its queries with garbage: it ends as ERROR, in three lines.

A run with correct answers lists the queries. Each of them is then answered with garbage of each kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selab.__main__ import run
from tests.unit.fakes import Answer, ReadyMachine, ScriptedGuest, keep_base

GARBAGE: dict[str, Callable[[str], str]] = {
    "not UTF-8": lambda valid: b"\xff\xfe\x80".decode(errors="surrogateescape") + valid,
    "negative numbers": lambda valid: valid.replace(" ", " -"),
    "cut JSON": lambda valid: '{"State": {"Pid": 12, "Sta',
    "wrong order": lambda valid: "".join(
        f"{' '.join(reversed(line.split()))}\n" for line in valid.split("\n")
    ),
    "empty": lambda valid: "",
    "huge numbers": lambda valid: f"pid {'9' * 5000}\nenabled {'9' * 5000}\n",
    "NUL bytes": lambda valid: valid.replace(" ", "\0"),
    "deep nesting": lambda valid: "[" * 100_000,
    "duplicate keys": lambda valid: valid * 2,
    "wrong types": lambda valid: "pid None\nenabled []\nlabel {}\n",
}
QUERIES = {
    # The queries of a run, in order, and whether their answer is text. Otherwise the exit code is the answer.
    "survey": True,
    "same-store": False,
    "restore-labels": False,
    "find-changes": False,
    "open-window": True,
    "flush-cache": False,
    "switch-mode": False,
    "start": True,
    "http": False,
    "remove": True,
    "close-window": True,
    "restore-mode": False,
}
CONTENT = {
    ("remove", "empty"): "no process of the container is left to report a label",
    ("remove", "duplicate keys"): "two processes have the label",
    ("close-window", "duplicate keys"): "a log in which records occur twice",
}
"""Garbage that is a possible answer, and why. The run's verdict is then that of the other answers."""
NO_SUCH_CODE = 77


class HostileGuest(ScriptedGuest):
    """Answers the query `target` with garbage: its output, or its exit code if it has no output."""

    def __init__(self, target: str = "", garbage: Callable[[str], str] = str) -> None:
        super().__init__()
        self._target, self._garbage = target, garbage
        self.answer("http", out="200\n")

    def spoil(self, name: str, answer: Answer) -> Answer:
        if name != self._target:
            return answer
        code, out, _ = answer
        text = self._garbage(out or "pid 1\n")
        return (code if QUERIES[name] else NO_SUCH_CODE), text, text


@pytest.fixture
def run_with(project_with_http: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[HostileGuest], int]:
    """Run the scenario with a guest, and return selab's exit code."""

    def run_with(guest: HostileGuest) -> int:
        monkeypatch.setattr("selab.vm.select.machine_of", lambda project: ReadyMachine(guest))
        return run(["-C", str(project_with_http), "run", "web"])

    return run_with


@pytest.fixture
def project_with_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "selab.yaml").write_text("")
    (tmp_path / "scenarios").mkdir()
    scenario = {
        "image": "registry.test/x:1",
        "label": {"type": "web_t"},
        "steps": [{"http": {"port": 8080}}],
    }
    (tmp_path / "scenarios/web.yaml").write_text(json.dumps(scenario))
    keep_base(tmp_path / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("selab.analysis.explain.AdviceCache.begin", lambda cache, base: None)
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    return tmp_path


def test_these_are_the_queries_of_a_run(run_with: Callable[[HostileGuest], int]) -> None:
    guest = HostileGuest()
    assert (run_with(guest), set(guest.scripts)) == (0, set(QUERIES))


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("query", QUERIES)
def test_garbage_is_an_error_of_three_lines(
    run_with: Callable[[HostileGuest], int], capsys: pytest.CaptureFixture[str], query: str, kind: str
) -> None:
    code = run_with(HostileGuest(query, GARBAGE[kind]))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err and "selab has a fault" not in captured.err
    if (query, kind) in CONTENT:
        assert code in (0, 3)
        return
    errors = captured.err[captured.err.find("Error:") :].splitlines() if "Error:" in captured.err else []
    assert (code, len(errors) <= 3) == (3, True), captured
