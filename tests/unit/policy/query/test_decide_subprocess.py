"""libsepol asked in a process of its own, about a recorded policy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import selab
from selab.errors import SelabError
from selab.host.processes import TOOL_LIMITS, Ended
from selab.policy.query import decide_subprocess
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.decide_subprocess import ask

Call = dict[str, Any]


def access(permission: str, source: str = "web", target: str = "etc", command: int | None = None) -> Access:
    return Access(f"u:r:{source}_t:s0", f"u:r:{target}_t:s0", "file", permission, command)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Answer in this process, as the other one would, and return the calls."""
    calls: list[Call] = []

    def run(command: list[str], *, input: bytes, **options: Any) -> Ended:
        calls.append({"command": command, **options})
        answer = decide_subprocess._answer(Path(command[-1]), input.decode())
        return Ended(0, answer.encode(), b"", False)

    monkeypatch.setattr(decide_subprocess, "run_group", run)
    return calls


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ended | Exception], None]:
    """Let the other process end so."""

    def set_end(end: Ended | Exception) -> None:
        def run(command: list[str], **options: Any) -> Ended:
            if isinstance(end, Exception):
                raise end
            return end

        monkeypatch.setattr(decide_subprocess, "run_group", run)

    return set_end


@pytest.mark.usefixtures("calls")
def test_the_answers_are_in_the_questions_order(policy: Path) -> None:
    accesses = [access("open"), access("read"), access("open", "absent"), access("ioctl", command=0x8910)]
    assert ask(policy, accesses) == [
        Decision(accesses[0], Cause.NONE),
        Decision(accesses[1], Cause.RULE),
        Decision(accesses[2], Cause.UNKNOWN, "the policy does not know u:r:absent_t:s0"),
        Decision(accesses[3], Cause.COMMAND, "0x8910 is not in { 0x8927 0x8933 }", True),
    ]


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("options", "cause", "detail"),
    [
        ({}, Cause.RULE, ""),
        ({"booleans": True}, Cause.BOOLEAN, ""),
        ({"booleans": True, "names": True}, Cause.BOOLEAN, "shiny on"),
    ],
)
def test_a_boolean_is_looked_for_and_named_only_on_request(
    policy: Path, options: dict[str, bool], cause: Cause, detail: str
) -> None:
    question = access("write", "base")
    assert ask(policy, [question], **options) == [Decision(question, cause, detail)]


def test_the_process_runs_this_selab_with_limits(policy: Path, calls: list[Call]) -> None:
    ask(policy, [access("open")])
    (call,) = calls
    environment = call.pop("environment")
    assert call == {
        "command": [sys.executable, "-P", "-m", "selab.policy.query.decide_subprocess", str(policy)],
        "timeout": decide_subprocess.LIMIT,
        "limits": TOOL_LIMITS,
    }
    assert environment["PYTHONPATH"] == str(Path(selab.__file__).parents[1]) and "PATH" in environment


def test_where_nothing_is_asked_no_policy_is_read() -> None:
    assert ask(Path("/nowhere"), []) == []


@pytest.mark.usefixtures("calls")
def test_an_error_of_the_other_process_is_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    path.write_bytes(b"not a policy")
    with pytest.raises(SelabError, match="The linked policy cannot be read") as caught:
        ask(path, [access("open")])
    assert (caught.value.detail, "libsepol" in caught.value.hint) == (str(path), True)


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        (
            Ended(1, b"", b"Traceback:\n  File\nValueError: no\xff\n\n", False),
            "exit code 1 ValueError: no\\xff",
        ),
        (Ended(-11, b"{}", b"", False), "exit code -11"),
        (FileNotFoundError("no python"), "no python"),
        (subprocess.TimeoutExpired("python", 600), "600"),
    ],
    ids=["an exception", "a crash", "no program", "no end"],
)
def test_a_process_that_does_not_answer_is_an_error(
    ended: Callable[[Ended | Exception], None], end: Ended | Exception, detail: str
) -> None:
    ended(end)
    with pytest.raises(SelabError, match="did not answer") as caught:
        ask(Path("/policy"), [access("open")])
    assert detail in caught.value.detail


def test_an_answer_that_lacks_a_decision_is_refused(ended: Callable[[Ended | Exception], None]) -> None:
    ended(Ended(0, b'{"decisions": [["allowed", "", false]]}', b"", False))
    with pytest.raises(ValueError, match="zip"):
        ask(Path("/policy"), [access("open"), access("read")])


@pytest.mark.program
def test_the_real_process_runs_no_file_of_the_directory_and_this_one_reads_no_policy(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libsepol would never give its memory back."""
    (tmp_path / "json.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    # In this directory, mutmut would not find its settings.
    monkeypatch.delenv("MUTANT_UNDER_TEST", raising=False)
    monkeypatch.delattr(decide_subprocess, "Decider")
    assert ask(policy, [access("open")])[0].allowed
