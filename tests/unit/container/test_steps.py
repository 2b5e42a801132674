"""Each kind of step passes only if everything that the scenario expects of it was seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from selab.container.lifecycle import Container
from selab.container.runtime import runtimes
from selab.container.steps import MAX_STEP_OUTPUT, StepResult, log_tail, run_steps
from selab.guest import Guest
from selab.scenario import Scenario
from tests.unit.fakes import FakeGuest, SandboxGuest

ENDED = 2**22 + 1
"""A process id that no process can have (PID_MAX_LIMIT)."""


def results(guest: Guest, *steps: dict[str, Any], pid: int = ENDED) -> list[StepResult]:
    scenario = Scenario.model_validate({"image": "x", "steps": steps})
    return list(run_steps(guest, scenario, Container("selab-web", pid, runtimes()["docker"])))


def executed(code: int, out: str = "", **expected: Any) -> StepResult:
    """The result of an `exec` step whose command ends with `code` and `out`."""
    guest = FakeGuest()
    guest.answer("docker exec selab-web cat /etc/shadow", code=code, out=out)
    return results(guest, {"exec": {"argv": ["cat", "/etc/shadow"], **expected}})[0]


@pytest.mark.parametrize(
    ("code", "expected", "ok"), [(0, 0, True), (1, 0, False), (1, 1, True), (0, 1, False), (2, 1, False)]
)
def test_a_command_must_end_with_the_expected_code(code: int, expected: int, ok: bool) -> None:
    assert executed(code, exit=expected).ok is ok


@pytest.mark.parametrize(("out", "ok"), [("root:x:0", True), ("nothing", False), ("", False)])
def test_the_output_of_a_command_must_contain_the_text(out: str, ok: bool) -> None:
    assert executed(0, out, contains="root:x").ok is ok


def test_a_command_without_an_end_fails_by_its_time_limit() -> None:
    assert "5 seconds" in executed(124, timeout=5).detail


def test_no_step_runs_after_a_failed_step() -> None:
    guest = FakeGuest()
    guest.answer("docker exec", code=1)
    step = {"exec": {"argv": ["true"]}}
    assert [result.ok for result in results(guest, step, step)] == [False]
    assert len(guest.commands) == 1


def test_a_command_of_the_guest_runs_outside_of_the_container() -> None:
    guest = FakeGuest()
    guest.answer("timeout")
    results(guest, {"guest": {"argv": ["id", "-Z"], "timeout": 5}})
    assert guest.commands == [("timeout", "--kill-after=5", "5.0", "id", "-Z")]


def answered(tmp_path: Path, code: int, body: str, **expected: Any) -> StepResult:
    """The result of an `http` step that a stub of curl answers."""
    guest = SandboxGuest(tmp_path)
    guest.program(
        "curl",
        'while [ $# -gt 0 ]; do [ "$1" != --output ] || file=$2; shift; done\n'
        f"printf '%s' '{body}' >\"$file\"; printf '%s' '{code:03}'",
    )
    return results(guest, {"http": {"port": 8080, **expected}})[0]


@pytest.mark.parametrize(
    ("status", "expected", "ok"), [(200, 200, True), (403, 200, False), (403, 403, True), (200, 403, False)]
)
def test_an_answer_must_have_the_expected_status(
    tmp_path: Path, status: int, expected: int, ok: bool
) -> None:
    assert answered(tmp_path, status, "page", status=expected).ok is ok


@pytest.mark.parametrize(("body", "ok"), [("It works", True), ("It broke", False)])
def test_an_answer_must_contain_the_text(tmp_path: Path, body: str, ok: bool) -> None:
    assert answered(tmp_path, 200, body, contains="works").ok is ok


def test_another_status_is_named(tmp_path: Path) -> None:
    assert "403" in answered(tmp_path, 403, "Forbidden").detail


def test_a_server_that_is_silent_gives_no_status(tmp_path: Path) -> None:
    assert answered(tmp_path, 0, "").detail.startswith("no answer")


def test_a_container_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    assert "ended" in answered(tmp_path, 0, "", wait=True, timeout=60).detail


def exited(tmp_path: Path, pid: int, code: int, expected: int) -> StepResult:
    """The result of an `exit` step; the runtime reports the exit code `code`."""
    guest = SandboxGuest(tmp_path)
    guest.program("docker", f"echo {code}")
    return results(guest, {"exit": {"code": expected, "timeout": 1}}, pid=pid)[0]


@pytest.mark.parametrize(
    ("code", "expected", "ok"), [(0, 0, True), (1, 0, False), (3, 3, True), (0, 3, False)]
)
def test_a_container_must_end_with_the_expected_code(
    tmp_path: Path, code: int, expected: int, ok: bool
) -> None:
    assert exited(tmp_path, ENDED, code, expected).ok is ok


def test_a_container_that_still_runs_has_not_ended_with_0(tmp_path: Path) -> None:
    """A runtime reports the exit code 0 for a container that runs."""
    assert not exited(tmp_path, os.getpid(), 0, 0).ok


@pytest.mark.parametrize(("line", "ok"), [("listening on 80", True), ("starting", False)])
def test_the_log_must_show_the_pattern(line: str, ok: bool) -> None:
    guest = FakeGuest()
    guest.answer("docker logs selab-web", out=line)  # the script joins both streams
    guest.answer("test -e", code=1)
    assert results(guest, {"log": {"pattern": r"listening on \d+", "timeout": 5}})[0].ok is ok


def test_the_end_of_the_log_has_both_streams() -> None:
    guest = FakeGuest()
    guest.answer("docker logs --tail", out="output\n", err="error\n")
    assert log_tail(guest, Container("selab-web", 1, runtimes()["docker"])) == "output\nerror"


def flooding(**expected: Any) -> StepResult:
    """The result of an `exec` step whose command prints more than selab reads, and `end` at last."""
    guest = FakeGuest()
    guest.answer("exec", out="begin" + "y" * MAX_STEP_OUTPUT + "end")
    return results(guest, {"exec": {"argv": ["x"], **expected}})[0]


def test_a_command_that_prints_too_much_can_still_pass_by_its_exit_code() -> None:
    assert flooding().ok


def test_a_text_in_the_first_part_of_a_long_output_passes() -> None:
    assert flooding(contains="begin").ok


def test_a_text_that_may_be_in_the_part_that_was_dropped_is_not_observed() -> None:
    step = flooding(contains="end")
    assert (step.ok, step.observed) == (False, False)
    assert "16 MiB of its output do not contain 'end'" in step.detail


def test_a_text_that_is_not_in_a_whole_output_is_a_failure() -> None:
    guest = FakeGuest()
    guest.answer("exec", out="begin")
    assert results(guest, {"exec": {"argv": ["x"], "contains": "end"}})[0].observed


def test_a_wrong_exit_code_is_a_failure_whatever_was_dropped() -> None:
    assert flooding(exit=1).observed
