"""`learn`, `minimise` and a run on an existing host, with a guest that answers one query with garbage.

test_hostile_run.py answers each query of a run with garbage of each kind. Here one garbage answer for each
way in which a run ends as ERROR is enough: the command then ends as ERROR, and the policy stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from selab.__main__ import run
from selab.analysis.suggest import Suggestion
from selab.run.replay import Replay
from tests.unit import test_hostile_run
from tests.unit.fakes import Answer, ReadyMachine
from tests.unit.garbage import GARBAGE, assert_three_lines

TE = "policy_module(web, 1.0)\nallow web_t self:fd use;\n"
TARGETS = ["open-window", "start", "wait-for-end", "end", "close-window"]
"""Queries of each run. Only the first run asks for the `survey`."""
COMMANDS = {
    # Each command with the number of its runs if every answer is right.
    "learn": 2,
    "minimise": 3,
}
project = test_hostile_run.project


class HostileGuest(test_hostile_run.HostileGuest):
    """Answers the query `target` with garbage the time number `when`, counted from 1.

    A window that cannot be closed makes a document with the verdict ERROR; other garbage ends the command.
    """

    def __init__(self, target: str = "", when: int = 1) -> None:
        super().__init__(target, GARBAGE["cut JSON"], code=1 if target == "close-window" else None)
        self._when = when
        self._mode = "1"
        close_window = self.answers["close-window"]
        self.answers["switch-mode"] = self._switch_mode
        self.answers["close-window"] = lambda words: self._in_mode(close_window(words))

    def _switch_mode(self, words: Sequence[str]) -> Answer:
        self._mode = words[0]
        return 0, "", ""

    def _in_mode(self, answer: Answer) -> Answer:
        code, out, err = answer
        return code, out.replace("mode 1\n", f"mode {self._mode}\n"), err

    def spoil(self, name: str, answer: Answer) -> Answer:
        if name == self._target and self.queries.count(name) + 1 != self._when:
            self.queries.append(name)
            return answer
        return super().spoil(name, answer)


Selab = Callable[[str, HostileGuest], int]


@pytest.fixture
def policy(project: Path) -> Path:
    """The policy of the scenario."""
    policy = project / "policies/web.te"
    policy.parent.mkdir()
    policy.write_text(TE)
    return policy


@pytest.fixture
def selab(project: Path, policy: Path, monkeypatch: pytest.MonkeyPatch) -> Selab:
    """Run a command with a guest. The guest has the policy in force; nothing is compiled or linked."""
    monkeypatch.setattr("selab.run.context.compiled_all", lambda *_: [])
    monkeypatch.setattr("selab.run.context.linked", lambda *_, **__: None)
    monkeypatch.setattr(
        "selab.workflows.learn.suggestions", lambda *_, risky: [Suggestion(policy, "", TE, TE, ())]
    )
    monkeypatch.setattr("selab.workflows.minimise.Bench.ask", lambda *_: Replay(()))

    def selab(command: str, guest: HostileGuest) -> int:
        monkeypatch.setattr("selab.vm.select.machine_of", lambda project: ReadyMachine(guest))
        return run(["-C", str(project), command, "web", "--policy", "web", "--apply"])

    return selab


@pytest.mark.parametrize("command", COMMANDS)
def test_with_right_answers_each_run_asks_each_query(selab: Selab, command: str) -> None:
    guest = HostileGuest()
    assert selab(command, guest) == 0
    assert {guest.queries.count(target) for target in TARGETS} == {COMMANDS[command]}


CASES = [
    (command, target, when + 1)
    for command, runs in COMMANDS.items()
    for target in ("survey", *TARGETS)
    for when in range(1 if target == "survey" else runs)
]


@pytest.mark.parametrize(("command", "target", "when"), CASES)
def test_garbage_in_any_run_is_an_error_and_the_policy_stays(
    selab: Selab, policy: Path, capsys: pytest.CaptureFixture[str], command: str, target: str, when: int
) -> None:
    code = selab(command, HostileGuest(target, when))
    printed = capsys.readouterr()
    assert code == 3, printed
    assert "Traceback" not in printed.err and "selab has a fault" not in printed.err, printed
    if "Error: " in printed.err:
        assert_three_lines(printed.err)
    else:
        assert f"{when}  " in printed.out and "ERROR" in printed.out, printed
    assert policy.read_text() == TE


@pytest.fixture
def on_host(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[test_hostile_run.HostileGuest], int]:
    """Run the scenario on an existing host (`box: host`)."""

    def on_host(guest: test_hostile_run.HostileGuest) -> int:
        machine = ReadyMachine(guest)
        machine.managed = False
        monkeypatch.setattr("selab.vm.select.machine_of", lambda project: machine)
        return run(["-C", str(project), "run", "web"])

    return on_host


def test_a_run_on_an_existing_host_also_loads_its_base_policy(
    on_host: Callable[[test_hostile_run.HostileGuest], int],
) -> None:
    guest = test_hostile_run.HostileGuest()
    code = on_host(guest)
    assert (code, list(dict.fromkeys(guest.queries))) == (0, [*test_hostile_run.QUERIES, "load-base"])


@pytest.mark.parametrize("code", [1, 77, 255])
@pytest.mark.parametrize("query", ["load-base", "restore-mode", "switch-mode"])
def test_garbage_of_an_existing_host_is_an_error(
    on_host: Callable[[test_hostile_run.HostileGuest], int],
    project: Path,
    capsys: pytest.CaptureFixture[str],
    query: str,
    code: int,
) -> None:
    guest = test_hostile_run.HostileGuest(query, GARBAGE["not UTF-8"], code=code)
    exit_code = on_host(guest)
    test_hostile_run.assert_error(exit_code, project, capsys.readouterr())
