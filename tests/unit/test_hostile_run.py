"""A whole run against a guest that answers one of its queries with garbage: it ends as ERROR, in three lines.

A run with correct answers lists the queries. Each of them is then answered with garbage of each kind. Each
round trip that holds several answers is replaced as a whole as well.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from selab.__main__ import run
from selab.history import History
from selab.project import find_project
from tests.unit.fakes import Answer, ReadyMachine, ScriptedGuest, keep_base
from tests.unit.garbage import GARBAGE, ROUND_TRIPS, Part, assert_three_lines, sample, spoiled_round_trip

QUERIES = {
    # The queries of a run, in order, and whether their answer is text. Otherwise the exit code is the answer.
    "survey": True,
    "same-store": False,
    "await-removal": True,
    "restore-labels": False,
    "service/restore": False,
    "find-changes": False,
    "open-window": True,
    "flush-cache": False,
    "switch-mode": False,
    "start": True,
    "http": False,
    "tcp": True,
    "timeout": False,
    "read-log": False,
    "wait-for-end": True,
    "end": True,
    "close-window": True,
    "restore-mode": False,
}
CONTENT = {
    ("timeout", ""): 1,  # the exit code of a command is what the workload does
    ("wait-for-end", "negative numbers"): 0,  # an answer of one word has no space: it is unchanged
    ("wait-for-end", "NUL bytes"): 0,
    ("await-removal", "empty"): 0,
    ("tcp", "negative numbers"): 0,
    ("tcp", "NUL bytes"): 0,
    (
        "close-window",
        "duplicate keys",
    ): 0,  # a log in which records occur twice, and lines that are no records
}
"""The exit code of selab for garbage that is a possible answer."""
UNCHANGED = ("negative numbers", "NUL bytes")
"""Garbage that leaves an answer of one word unchanged."""
IGNORED = {
    "same-store": "the exit code says whether the store is the same",
    "restore-labels": "the exit code says whether labels were restored",
    "service/restore": "the exit code says whether services were restored",
    "flush-cache": "the exit code says whether the policy is in force",
    "switch-mode": "the exit code says whether the mode was switched",
    "timeout": "the step expects an exit code and no text",
    "read-log": "a container may print anything; the step's pattern is in the log",
    "restore-mode": "the exit code says whether the mode was restored",
}
"""Queries whose output does not matter if the exit code is 0, and why. The run passes."""
NO_SUCH_CODE = 77
ROUNDS = 4
"""Round trips whose answers have ends: the survey alone; what puts the policy in force; the window alone;
the removal's end and the mode."""


class HostileGuest(ScriptedGuest):
    """Answers the query `target` with garbage: its output, or its exit code if it has no output.

    `code` is the exit code of the query `target`; by default one that no script has if the code is the
    answer. `whole` changes the parts of the round trip with the number `target`.
    """

    def __init__(
        self, target: str | int = "", garbage: Callable[[str], str] = str, *, code: int | None = None
    ) -> None:
        super().__init__()
        self._target, self._garbage, self._code = target, garbage, code
        self.whole: Callable[[Sequence[Part]], Sequence[Part]] = list
        self.rounds = 0
        self.queries: list[str] = []
        self.answer("http", out="200\n")
        self.answer("tcp", out="accepted\n")
        self.answer("read-log", out="ready\n")
        self.answer("wait-for-end", out="0\n")
        self.answer_program("timeout")
        self.answer_program("docker", "logs", out="the last lines\n")

    def spoil(self, name: str, answer: Answer) -> Answer:
        self.queries.append(name)
        if name != self._target:
            return answer
        code, out, _ = answer
        text = self._garbage(out or "pid 1\n")
        if self._code is not None:
            return self._code, f"{out}{text}" if name == "read-log" else text, text
        return (code if QUERIES[name] else NO_SUCH_CODE), text, text

    def _together(self, parts: Sequence[tuple[str, str]], words: Sequence[str]) -> Answer:
        code, out, err = super()._together(parts, words)
        self.rounds += 1
        if self.rounds - 1 == self._target:
            out = spoiled_round_trip(words[0], out, self.whole)
        return code, out, err


RunWith = Callable[[HostileGuest], int]


@pytest.fixture
def run_with(project: Path, monkeypatch: pytest.MonkeyPatch) -> RunWith:
    """Run the scenario with a guest, and return selab's exit code."""

    def run_with(guest: HostileGuest) -> int:
        monkeypatch.setattr("selab.vm.select.machine_of", lambda project: ReadyMachine(guest))
        return run(["-C", str(project), "run", "web"])

    return run_with


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a scenario that has a step of each kind."""
    (tmp_path / "selab.yaml").write_text("")
    (tmp_path / "scenarios").mkdir()
    scenario = {
        "image": "registry.test/x:1",
        "label": {"type": "web_t"},
        "steps": [
            {"http": {"port": 8080}},
            {"tcp": {"port": 8080}},
            {"exec": {"argv": ["true"]}},
            {"log": {"pattern": "ready"}},
            {"exit": {"code": 0}},
        ],
    }
    (tmp_path / "scenarios/web.yaml").write_text(json.dumps(scenario))
    keep_base(tmp_path / "cache")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("selab.analysis.explain.AdviceCache.begin", lambda cache, base: None)
    monkeypatch.setattr("selab.run.context.random_level", lambda: "s0:c1,c2")
    return tmp_path


def assert_error(code: int, project: Path, captured: pytest.CaptureResult[str]) -> None:
    """Check that the command ended as ERROR: with three lines, or with a verdict and its printed reasons.

    What goes wrong after the verdict is reported in three lines, whatever the verdict is.
    """
    assert "Traceback" not in captured.err and "selab has a fault" not in captured.err, captured.err
    assert code == 3, captured
    stored = History.of(find_project(project)).latest(1)
    if not stored or "Error: " in captured.err:
        assert_three_lines(captured.err)
        return
    assert stored[0].document.verdict == "ERROR"
    shown = " ".join((captured.out + captured.err).split())
    assert stored[0].document.reasons
    assert all(" ".join(reason.split())[:60] in shown for reason in stored[0].document.reasons[:1]), shown


def test_these_are_the_queries_of_a_run(run_with: RunWith) -> None:
    guest = HostileGuest()
    assert (run_with(guest), list(dict.fromkeys(guest.queries)), guest.rounds) == (0, list(QUERIES), ROUNDS)


@pytest.mark.parametrize(("query", "kind"), sample(itertools.product(QUERIES, GARBAGE)))
def test_garbage_is_an_error_of_three_lines(
    run_with: RunWith, project: Path, capsys: pytest.CaptureFixture[str], query: str, kind: str
) -> None:
    code = run_with(HostileGuest(query, GARBAGE[kind]))
    captured = capsys.readouterr()
    content = CONTENT.get((query, kind), CONTENT.get((query, "")))
    if content is not None:
        assert code == content, captured
    else:
        assert_error(code, project, captured)


@pytest.mark.parametrize(
    ("query", "kind"),
    sample(itertools.product([query for query, is_text in QUERIES.items() if not is_text], GARBAGE)),
)
def test_output_beside_a_good_exit_code_is_ignored_or_an_error(
    run_with: RunWith, project: Path, capsys: pytest.CaptureFixture[str], query: str, kind: str
) -> None:
    code = run_with(HostileGuest(query, GARBAGE[kind], code=0))
    captured = capsys.readouterr()
    if query in IGNORED or query == "http" and kind in UNCHANGED or query != "http" and kind == "empty":
        assert code == 0, captured
    else:
        assert_error(code, project, captured)


ALIKE = {(ROUNDS - 1, "reversed order"), (ROUNDS - 1, "the output of the next part")}
"""What changes nothing in a round trip in which both answers are empty."""


@pytest.mark.parametrize(
    ("number", "kind"),
    [case for case in itertools.product((1, ROUNDS - 1), ROUND_TRIPS) if case not in ALIKE],
)
def test_a_round_trip_with_other_parts_is_an_error_of_three_lines(
    run_with: RunWith, project: Path, capsys: pytest.CaptureFixture[str], number: int, kind: str
) -> None:
    guest = HostileGuest(number)
    guest.whole = ROUND_TRIPS[kind]
    assert_error(run_with(guest), project, capsys.readouterr())
