"""Each kind of step passes only if everything that the scenario expects of it was seen."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.container import steps
from selab.container.lifecycle import Container
from selab.container.runtime import runtimes
from selab.container.steps import GRACE, MAX_LOG_TAIL, MAX_STEP_OUTPUT, StepResult, logs, run_steps
from selab.errors import InputError, SelabError
from selab.guest import Guest, script_argv
from selab.scenario.model import Scenario
from tests.unit.fakes import FakeGuest, SandboxGuest

ENDED = 2**22 + 1
"""A process id that no process can have (PID_MAX_LIMIT)."""


def results(
    guest: Guest,
    *actions: dict[str, Any],
    pid: int = ENDED,
    ports: Sequence[dict[str, int]] = (),
    root: Path = Path("/nowhere"),
    runtime: str = "docker",
) -> list[StepResult]:
    scenario = Scenario.model_validate({"image": "x", "ports": ports, "steps": actions})
    return list(run_steps(guest, scenario, {"": Container("selab-web", pid, runtimes()[runtime])}, root))


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


def test_a_command_may_be_expected_to_end_with_the_code_of_a_time_limit() -> None:
    assert executed(124, exit=124).ok


@pytest.mark.parametrize(
    ("out", "err", "shown"),
    [("output", "", "output"), ("output", "error", "error"), ("a" * 301, "", "a" * 300)],
)
def test_a_wrong_exit_code_is_reported_with_the_end_of_the_output(out: str, err: str, shown: str) -> None:
    guest = FakeGuest()
    guest.answer("exec", code=3, out=out, err=err)
    detail = results(guest, {"exec": {"argv": ["x"]}})[0].detail
    assert detail == f"exit code 3 instead of 0: {shown}"


def test_a_missing_text_is_reported_with_the_end_of_the_output() -> None:
    detail = executed(0, "a" * 301 + "\n", contains="root").detail
    assert detail == f"its output does not contain 'root': {'a' * 300}"


def test_a_step_has_its_title_and_no_detail_if_it_met_its_expectation() -> None:
    guest = FakeGuest()
    guest.answer("docker exec selab-web true")
    (result,) = results(guest, {"name": "It works", "exec": {"argv": ["true"]}})
    assert (result.name, result.ok, result.detail, result.observed) == ("It works", True, "", True)
    assert 0 <= result.seconds < 60


def test_all_steps_are_done_in_order() -> None:
    guest = FakeGuest()
    guest.answer("docker exec")
    assert len(results(guest, {"exec": {"argv": ["a"]}}, {"exec": {"argv": ["b"]}})) == 2
    assert [argv[-1] for argv in guest.commands] == ["a", "b"]


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
    assert (guest.timeouts, guest.limits) == ([5 + GRACE], [MAX_STEP_OUTPUT])


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


@pytest.mark.parametrize(("status", "ok"), [(200, True), (302, True), (401, True), (0, False)])
def test_any_answer_may_be_accepted(tmp_path: Path, status: int, ok: bool) -> None:
    assert answered(tmp_path, status, "page", status="any").ok is ok


def test_of_any_answer_the_missing_text_is_reported(tmp_path: Path) -> None:
    assert answered(tmp_path, 401, "no entry", status="any", contains="works").detail.startswith("no entry")


@pytest.mark.parametrize("out", ["000\n", "any\n", "2000\n", "20\n", "200"])
def test_an_answer_without_a_status_is_not_any_answer(out: str) -> None:
    guest = FakeGuest()
    guest.answer("127.0.0.1", out=out)
    with pytest.raises(SelabError, match="makes no sense"):
        results(guest, {"http": {"port": 80, "status": "any"}})


@pytest.mark.parametrize(("body", "ok"), [("It works", True), ("It broke", False)])
def test_an_answer_must_contain_the_text(tmp_path: Path, body: str, ok: bool) -> None:
    assert answered(tmp_path, 200, body, contains="works").ok is ok


@pytest.mark.parametrize(("timeout", "limit"), [(5, "5"), (0.5, "1"), (2.9, "2")])
@pytest.mark.parametrize(("wait", "flag"), [(True, "1"), (False, "0")])
def test_a_request_has_its_arguments_and_its_limit(timeout: float, limit: str, wait: bool, flag: str) -> None:
    guest = FakeGuest()
    guest.answer("127.0.0.1", out="404\n")
    step = {"port": 8080, "path": "/x", "status": 404, "contains": "no", "timeout": timeout, "wait": wait}
    assert results(guest, {"http": step}, pid=7)[0].ok
    words = ("http://127.0.0.1:8080/x", "404", "no", limit, flag, "7", "the container")
    assert guest.commands == [tuple(script_argv("container/http", *words))]
    assert guest.timeouts == [timeout * 2 + GRACE]


@pytest.mark.parametrize(
    ("out", "detail"),
    [
        ("curl: (7) refused\n\n000\n", "no answer: curl: (7) refused"),
        ("\n  Forbidden\n here\n403\n", "status 403 instead of 200: Forbidden here"),
        ("x" * 301 + "\n200\n", "x" * 300),
    ],
)
def test_another_answer_is_reported_with_its_beginning(out: str, detail: str) -> None:
    guest = FakeGuest()
    guest.answer("127.0.0.1", code=1, out=out)
    assert results(guest, {"http": {"port": 80}})[0].detail == detail


@pytest.mark.parametrize(
    ("code", "out"),
    [(0, "403\n"), (0, "200"), (1, ""), (1, "page"), (1, "20\n"), (1, "٢٠٠\n"), (127, "200\n")],
)
def test_an_answer_of_the_script_that_makes_no_sense_is_an_error(code: int, out: str) -> None:
    guest = FakeGuest()
    guest.answer("127.0.0.1", code=code, out=out)
    with pytest.raises(SelabError, match="makes no sense|could not be made"):
        results(guest, {"http": {"port": 80}})


def test_a_container_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    assert "ended" in answered(tmp_path, 0, "", wait=True, timeout=60).detail


def exited(tmp_path: Path, code: int, expected: int) -> StepResult:
    """The result of an `exit` step; the runtime reports the exit code `code`."""
    guest = SandboxGuest(tmp_path)
    guest.program("docker", f"echo false {code}")
    return results(guest, {"exit": {"code": expected, "timeout": 1}})[0]


@pytest.mark.parametrize(
    ("code", "expected", "ok"), [(0, 0, True), (1, 0, False), (3, 3, True), (0, 3, False)]
)
def test_a_container_must_end_with_the_expected_code(
    tmp_path: Path, code: int, expected: int, ok: bool
) -> None:
    assert exited(tmp_path, code, expected).ok is ok


def test_a_container_that_still_runs_has_not_ended() -> None:
    guest = FakeGuest()
    guest.answer("selab-web", code=1, out="it still runs after 1 seconds\n")
    (result,) = results(guest, {"exit": {"timeout": 1}})
    assert (result.ok, result.detail) == (False, "it still runs after 1 seconds")


@pytest.mark.parametrize(("timeout", "limit"), [(5, "5"), (0.5, "1")])
def test_the_wait_for_an_end_has_its_arguments_and_its_limit(timeout: float, limit: str) -> None:
    guest = FakeGuest()
    guest.answer("selab-web", out="0\n")
    assert results(guest, {"exit": {"timeout": timeout}}, pid=7)[0].ok
    words = ("7", "selab-web", limit, "docker")
    assert guest.commands == [tuple(script_argv("container/wait-for-end", *words))]
    assert guest.timeouts == [timeout + GRACE]


@pytest.mark.parametrize(
    ("code", "out"),
    [(0, "it still runs after 1 seconds\n"), (0, "0"), (0, "-1\n"), (1, "0\n"), (1, ""), (125, "0\n")],
)
def test_an_exit_code_that_is_not_known_is_an_error(code: int, out: str) -> None:
    guest = FakeGuest()
    guest.answer("selab-web", code=code, out=out)
    with pytest.raises(SelabError, match="makes no sense|could not be read"):
        results(guest, {"exit": {}})


def kept_up(code: int, out: str, seconds: float = 3) -> StepResult:
    """The result of an `up` step, for which the script ends with `code` and `out`."""
    guest = FakeGuest()
    guest.answer("selab-web", code=code, out=out)
    (result,) = results(guest, {"up": {"seconds": seconds}}, pid=7)
    return result


def test_a_container_that_keeps_running_is_up() -> None:
    result = kept_up(1, "it still runs after 4 seconds\n")
    assert (result.ok, result.detail) == (True, "")


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_container_that_has_ended_is_not_up(code: int) -> None:
    result = kept_up(0, f"{code}\n")
    assert (result.ok, result.observed) == (False, True)
    assert result.detail == f"the container has ended with exit code {code}"


@pytest.mark.parametrize(("seconds", "limit"), [(3, "4"), (0.5, "2"), (2.1, "4")])
def test_a_container_is_never_up_before_the_time_is_over(seconds: float, limit: str) -> None:
    """The script counts seconds of the clock, so its last second may be short."""
    guest = FakeGuest()
    guest.answer("selab-web", code=1, out="it still runs after 4 seconds\n")
    results(guest, {"up": {"seconds": seconds}}, pid=7)
    words = ("7", "selab-web", limit, "docker")
    assert guest.commands == [tuple(script_argv("container/wait-for-end", *words))]
    assert guest.timeouts == [int(limit) + GRACE]


@pytest.mark.parametrize(("code", "out"), [(0, ""), (1, "it still runs"), (1, "0\n"), (125, "0\n")])
def test_a_container_whose_end_is_unknown_is_an_error(code: int, out: str) -> None:
    with pytest.raises(SelabError, match="makes no sense|could not be read"):
        kept_up(code, out)


def test_an_up_step_sees_a_container_that_ended(tmp_path: Path) -> None:
    guest = SandboxGuest(tmp_path)
    guest.program("docker", "echo false 3")
    assert results(guest, {"up": {}})[0].detail == "the container has ended with exit code 3"


def connected(code: int, out: str, **step: Any) -> StepResult:
    """The result of a `tcp` step to port 5432 of the container, for which the script ends so."""
    guest = FakeGuest()
    guest.answer("/dev/tcp", code=code, out=out)
    ports = [{"guest": 80, "container": 8080}, {"guest": 15432, "container": 5432}]
    return results(guest, {"tcp": {"port": 15432, **step}}, ports=ports)[0]


def test_a_connection_that_is_accepted_passes() -> None:
    result = connected(0, "accepted\n")
    assert (result.ok, result.detail) == (True, "")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ("ended", "the container has ended"),
        ("silent", "no process of the container listens on its TCP port 5432"),
        ("refused", "127.0.0.1:15432 in the guest accepts no connection"),
        ("elsewhere", "the connection to 127.0.0.1:15432 does not reach the container's port 5432"),
    ],
)
def test_a_connection_that_is_not_accepted_is_reported_with_the_reason(answer: str, detail: str) -> None:
    result = connected(1, f"{answer}\n")
    assert (result.ok, result.observed, result.detail) == (False, True, detail)


@pytest.mark.parametrize(
    ("code", "out"),
    [
        (0, "silent\n"),
        (0, "accepted"),
        (0, ""),
        (1, "accepted\n"),
        (1, "ended"),
        (2, "accepted\n"),
        (127, ""),
    ],
)
def test_an_answer_about_a_connection_that_makes_no_sense_is_an_error(code: int, out: str) -> None:
    with pytest.raises(SelabError, match="makes no sense|could not be tried"):
        connected(code, out)


@pytest.mark.parametrize(("timeout", "limit"), [(5, "5"), (0.5, "1")])
@pytest.mark.parametrize(("wait", "flag"), [(True, "1"), (False, "0")])
@pytest.mark.parametrize(("port", "inner"), [(8080, "80"), (8081, "8081")], ids=["published", "not"])
def test_a_connection_has_its_arguments_and_its_limit(
    timeout: float, limit: str, wait: bool, flag: str, port: int, inner: str
) -> None:
    guest = FakeGuest()
    guest.answer("/dev/tcp", out="accepted\n")
    step = {"tcp": {"port": port, "wait": wait, "timeout": timeout}}
    assert results(guest, step, pid=7, ports=[{"guest": 8080, "container": 80}])[0].ok
    words = (str(port), inner, limit, flag, "7")
    assert guest.commands == [tuple(script_argv("container/tcp", *words))]
    assert guest.timeouts == [timeout * 2 + GRACE]


def copied(
    root: Path, guest: FakeGuest, *, source: str = "page", target: str = "/srv/www/index.html", runtime: str
) -> StepResult:
    """The result of a `copy` step of the file `page` or the directory `site`."""
    (root / "site").mkdir()
    (root / "page").write_text("works")
    guest.answer("test -e", code=0)
    step = {"copy": {"source": source, "target": target, "timeout": 5}}
    (result,) = results(guest, step, pid=7, root=root, runtime=runtime)
    return result


@pytest.mark.parametrize(
    ("target", "parent", "name"), [("/srv/www/x.html", "/srv/www", "x.html"), ("/x", "/", "x")]
)
@pytest.mark.parametrize("source", ["page", "site"])
@pytest.mark.parametrize(("runtime", "words"), [("docker", ("cp",)), ("podman", ("cp", "--archive=false"))])
def test_a_copy_is_unpacked_into_the_parent_directory_of_its_target(
    tmp_path: Path, target: str, parent: str, name: str, source: str, runtime: str, words: tuple[str, ...]
) -> None:
    guest = FakeGuest()
    guest.answer(runtime)
    result = copied(tmp_path, guest, source=source, target=target, runtime=runtime)
    assert (result.ok, result.detail) == (True, "")
    limit = ("timeout", "--kill-after=5", "5.0")
    assert guest.commands[-1] == (*limit, runtime, *words, "-", f"selab-web:{parent}")
    assert (guest.timeouts[-1], guest.limits[-1]) == (5 + GRACE, MAX_STEP_OUTPUT)
    with tarfile.open(fileobj=io.BytesIO(guest.inputs[-1])) as tar:
        assert tar.getnames() == [name]


@pytest.mark.parametrize(
    ("code", "detail"),
    [(124, "it did not end within 5 seconds"), (1, f"Docker could not copy it: {'a' * 300}")],
)
def test_a_copy_that_fails_is_reported_with_the_reason(tmp_path: Path, code: int, detail: str) -> None:
    guest = FakeGuest()
    guest.answer("docker", code=code, err="b" + "a" * 300 + "\n")
    result = copied(tmp_path, guest, runtime="docker")
    assert (result.ok, result.observed, result.detail) == (False, True, detail)


def test_nothing_is_copied_into_a_container_that_has_ended(tmp_path: Path) -> None:
    guest = FakeGuest()
    guest.answer("test -e", code=1)
    assert copied(tmp_path, guest, runtime="docker").detail == "the container has ended"
    assert len(guest.commands) == 1


def test_a_copy_is_not_read_from_outside_of_the_project(tmp_path: Path) -> None:
    """The source was inside when the scenario was loaded."""
    (tmp_path / "out").write_text("swordfish")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path / "out")
    with pytest.raises(InputError, match="outside"):
        copied(tmp_path / "project", FakeGuest(), source="link", runtime="docker")


@pytest.mark.parametrize(("line", "ok"), [("listening on 80", True), ("starting", False)])
def test_the_log_must_show_the_pattern(line: str, ok: bool) -> None:
    guest = FakeGuest()
    guest.answer("docker logs selab-web", out=line)  # the script joins both streams
    guest.answer("test -e", code=1)
    assert results(guest, {"log": {"pattern": r"listening on \d+", "timeout": 5}})[0].ok is ok


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a step; the time moves on by them only."""
    pauses: list[float] = []
    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append))
    return pauses


def test_a_pattern_is_awaited_while_the_container_runs(clock: list[float]) -> None:
    guest = FakeGuest()
    guest.rules.append((("docker logs",), lambda argv: (0, "ready" if len(clock) == 3 else "", "")))
    guest.answer("test -e /proc/7")
    assert results(guest, {"log": {"pattern": "ready", "timeout": 5}}, pid=7)[0].ok
    assert clock == [0.5] * 3


def test_a_pattern_is_awaited_up_to_the_limit(clock: list[float]) -> None:
    guest = FakeGuest()
    guest.rules.append((("docker logs",), lambda argv: (0, "" if clock else "starting\n", "")))
    guest.answer("test -e /proc/7")
    (result,) = results(guest, {"log": {"pattern": "ready", "timeout": 2}}, pid=7)
    assert (result.detail.rpartition(": ")[2], result.observed, sum(clock)) == ("starting", True, 2.5)


def test_a_pattern_is_not_awaited_if_the_container_has_ended(clock: list[float]) -> None:
    guest = FakeGuest()
    guest.answer("docker logs")
    guest.answer("test -e /proc/7", code=1)
    assert not results(guest, {"log": {"pattern": "ready", "timeout": 5}}, pid=7)[0].ok
    assert clock == []


def test_a_guest_that_cannot_see_the_container_is_an_error(clock: list[float]) -> None:
    guest = FakeGuest()
    guest.answer("docker logs")
    guest.answer("test -e", code=127)
    with pytest.raises(SelabError, match="cannot see"):
        results(guest, {"log": {"pattern": "ready"}})


def test_the_end_of_the_log_has_both_streams() -> None:
    guest = FakeGuest()
    guest.answer("docker logs", out="output\n", err="error\n")
    assert logs(guest, {"": Container("selab-web", 1, runtimes()["docker"])}) == "output\nerror"
    assert guest.commands == [("docker", "logs", "--tail", "8", "selab-web")]
    assert guest.limits == [MAX_LOG_TAIL]


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
    assert "first 16 MiB of its output do not contain 'end'" in step.detail


def test_a_text_that_is_not_in_a_whole_output_is_a_failure() -> None:
    guest = FakeGuest()
    guest.answer("exec", out="begin")
    assert results(guest, {"exec": {"argv": ["x"], "contains": "end"}})[0].observed


def test_a_wrong_exit_code_is_a_failure_whatever_was_dropped() -> None:
    assert flooding(exit=1).observed
