"""Which runs of a matrix are executed again, and when selab stops waiting for workers, without Dask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selab.matrix import execution
from selab.matrix.cluster import VM
from selab.matrix.execution import DESTROY_LIMIT, FETCH_LIMIT, Execution, Limits, destroyed
from selab.matrix.plan import Ended, Failure
from selab.matrix.work import Answer, Task, destroy_there

from .fakes import Watched, ended, record, tasks


class KilledWorker(Exception):
    """Dask's exception for a task whose workers were lost."""


KILLED = KilledWorker("lost")
ANSWER = Answer(record(verdict="PASS"), "auto-1", "tls://192.0.2.7:4711")
NEVER = 1e9


class Future:
    """A future that is done at `when`; `result` gives its outcomes in order, or raises them."""

    def __init__(self, clock: Clock, when: float, *outcomes: object) -> None:
        self._clock, self._when, self._outcomes = clock, when, list(outcomes)

    def done(self) -> bool:
        return self._clock.now >= self._when

    def result(self, *, timeout: float) -> object:
        assert timeout == FETCH_LIMIT
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Clock:
    """A clock that only `sleep` moves, by a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds == execution.TICK
        self.now += 1.0


class Cluster:
    """A cluster whose tasks end as planned.

    plan: for each task (when, outcome, ...) for each time that it is submitted.
    submitted: the numbers of the submitted tasks, with the time.
    cancelled: the futures that were cancelled.
    gone: the seconds, from and to, in which there is no worker.
    """

    def __init__(self, clock: Clock, plan: dict[int, list[tuple[Any, ...]]]) -> None:
        self.clock, self.plan = clock, plan
        self.submitted: list[tuple[int, float]] = []
        self.futures: list[Future] = []
        self.cancelled: list[Future] = []
        self.status = "running"
        self.gone = (NEVER, NEVER)
        self.topics: dict[str, Callable[[tuple[float, dict[str, Any]]], None]] = {}

    def workers(self, client: object) -> list[str]:
        assert client is self
        return [] if self.gone[0] <= self.clock.now < self.gone[1] else ["tls://192.0.2.7:4711"]

    def subscribe_topic(self, topic: str, handler: Callable[[tuple[float, dict[str, Any]]], None]) -> None:
        self.topics[topic] = handler

    def submit(
        self, function: object, task: Task, *, resources: dict[str, int], pure: bool, priority: int
    ) -> Future:
        assert (function, resources, pure, priority) == (work, {VM: 1}, False, -task.number)
        self.submitted.append((task.number, self.clock.now))
        when, *outcomes = self.plan[task.number].pop(0)
        self.futures.append(Future(self.clock, self.clock.now + when, *outcomes))
        return self.futures[-1]

    def cancel(self, futures: list[Future], *, force: bool) -> None:
        assert force
        self.cancelled += futures


def work(task: Task) -> Answer:
    raise AssertionError("no task is executed here")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster(Clock(), {})
    monkeypatch.setattr(execution, "time", cluster.clock)
    monkeypatch.setattr(execution, "vm_workers", cluster.workers)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(KilledWorker=KilledWorker))
    return cluster


def executed(
    cluster: Cluster, *plan: list[tuple[Any, ...]], watched: Watched | None = None, **limits: float
) -> list[Ended]:
    cluster.plan = dict(enumerate(plan))
    home = Path("/nowhere/lab")
    return Execution(cluster, tasks(home, len(plan)), watched or Watched(), Limits(**limits)).run(work)


def failure(run: Ended) -> tuple[str, str]:
    assert isinstance(run.result, Failure) and run.result.hint
    return run.result.what, run.result.detail


def test_a_result_has_its_cell_its_vm_and_its_machine(cluster: Cluster) -> None:
    late, early = executed(cluster, [(2, ANSWER)], [(1, ANSWER)])
    assert (late.result, late.slot, late.host) == (ANSWER.result, "auto-1", "192.0.2.7")
    assert (late.cell.scenario, early.cell.scenario) == ("web0", "web1")
    assert cluster.cancelled == []


def test_a_result_that_does_not_arrive_in_time_is_fetched_again(cluster: Cluster) -> None:
    (run,) = executed(cluster, [(1, TimeoutError(), ANSWER)])
    assert run.result is ANSWER.result and len(cluster.submitted) == 1


def test_a_run_whose_worker_was_lost_is_executed_again_alone_after_the_others(cluster: Cluster) -> None:
    runs = executed(cluster, [(1, KILLED), (5, ANSWER)], [(9, ANSWER)], [(2, KILLED), (5, ANSWER)])
    assert [run.result for run in runs] == [ANSWER.result] * 3
    assert cluster.submitted == [(0, 0), (1, 0), (2, 0), (2, 10), (0, 16)]


def test_only_a_run_that_loses_its_worker_when_it_runs_alone_is_to_blame(cluster: Cluster) -> None:
    runs = executed(cluster, [(1, KILLED), (5, KILLED)], [(1, KILLED), (5, ANSWER)])
    assert failure(runs[0]) == ("The run lost its worker repeatedly.", "lost")
    assert runs[1].result is ANSWER.result and len(cluster.submitted) == 4


@pytest.mark.parametrize(
    ("error", "word", "detail"),
    [
        (CancelledError("gone"), "cluster", "gone"),
        (KeyError("a bug"), "could not execute", "KeyError: 'a bug'"),
    ],
)
def test_an_error_of_a_worker_is_the_failure_of_its_run_only(
    cluster: Cluster, error: Exception, word: str, detail: str
) -> None:
    broken, whole = executed(cluster, [(1, error)], [(2, ANSWER)])
    assert word in failure(broken)[0] and failure(broken)[1] == detail
    assert whole.result is ANSWER.result


def test_without_a_worker_every_run_that_has_not_ended_fails_and_is_cancelled(cluster: Cluster) -> None:
    cluster.gone = (5, NEVER)
    watched = Watched()
    runs = executed(cluster, [(1, ANSWER)], [(2, KILLED)], [(NEVER,)], watched=watched, no_worker=10)
    assert runs[0].result is ANSWER.result
    assert {failure(run) for run in runs[1:]} == {("No worker is left.", "There was none for 10 seconds.")}
    assert cluster.cancelled == cluster.futures[2:]
    assert 15 <= cluster.clock.now <= 20
    assert watched.said == ["3 on 1", "web0: PASS", "web2: ERROR", "web1: ERROR"]


def test_a_worker_that_comes_back_in_time_is_waited_for(cluster: Cluster) -> None:
    cluster.gone = (5, 14)
    (run,) = executed(cluster, [(40, ANSWER)], no_worker=10)
    assert run.result is ANSWER.result


def test_workers_without_progress_are_given_up(cluster: Cluster) -> None:
    (run,) = executed(cluster, [(NEVER,)], stalled=100)
    assert failure(run) == ("The workers have made no progress.", "No run ended within 100 seconds.")
    assert 100 < cluster.clock.now < 105


def test_each_run_that_ends_is_progress(cluster: Cluster) -> None:
    runs = executed(cluster, [(80, ANSWER)], [(160, ANSWER)], [(240, ANSWER)], stalled=100)
    assert [run.result for run in runs] == [ANSWER.result] * 3


def test_the_events_of_a_run_are_shown_until_it_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = {"number": 0, "slot": "auto-1", "worker": "tls://192.0.2.7:1"}
    events = {
        1: began,
        2: {"number": 0, "step": "Starting the VM"},
        4: began,
        7: {"number": 0, "step": "It is late."},
    }
    sleep = cluster.clock.sleep

    def telling(seconds: float) -> None:
        sleep(seconds)
        if event := events.get(int(cluster.clock.now)):
            (handler,) = cluster.topics.values()
            handler((0.0, event))

    monkeypatch.setattr(cluster.clock, "sleep", telling)
    watched = Watched()
    executed(cluster, [(6, ANSWER)], [(9, ANSWER)], watched=watched)
    assert list(cluster.topics) == ["test-lab"]
    assert watched.said == [
        "2 on 1",
        "web0 at auto-1 at 192.0.2.7",
        "web0: Starting the VM",
        "web0 again at auto-1 at 192.0.2.7",
        "web0: PASS",
        "web1: PASS",
    ]


@pytest.mark.parametrize(("status", "count"), [("running", 2), ("closed", 0)])
def test_runs_are_cancelled_if_the_user_interrupts_and_the_scheduler_is_there(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, status: str, count: int
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    cluster.status = status
    monkeypatch.setattr(cluster.clock, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        executed(cluster, [(5, ANSWER)], [(5, ANSWER)])
    assert len(cluster.cancelled) == count


@pytest.mark.parametrize("error", [OSError, TimeoutError])
def test_a_scheduler_that_cannot_cancel_does_not_hide_the_result(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def cancel(futures: list[Future], *, force: bool) -> None:
        raise error

    monkeypatch.setattr(cluster, "cancel", cancel)
    (run,) = executed(cluster, [(NEVER,)], stalled=10)
    assert "no progress" in failure(run)[0]


def test_each_vm_is_removed_once_on_its_own_machine() -> None:
    calls: list[tuple[object, ...]] = []
    results: dict[str, object] = {"auto-1": "", "auto-2": KeyError("x")}

    def submit(function: object, *words: str, **options: object) -> SimpleNamespace:
        calls.append((function, words, options))

        def result(*, timeout: float) -> object:
            assert timeout == DESTROY_LIMIT
            outcome = results[words[1]]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return SimpleNamespace(result=result)

    run = ended(verdict="PASS")
    runs = [run, run, Ended(run.cell, run.result, "auto-2", "192.0.2.7"), Ended(run.cell, run.result)]
    assert destroyed(SimpleNamespace(submit=submit), runs, "lab") == {
        "auto-1 at 127.0.0.1": "",
        "auto-2 at 192.0.2.7": "KeyError: 'x'",
    }
    assert calls == [
        (destroy_there, ("lab", slot), {"workers": [host], "resources": {VM: 1}, "pure": False})
        for slot, host in (("auto-1", "127.0.0.1"), ("auto-2", "192.0.2.7"))
    ]


def test_the_vm_of_a_run_that_failed_is_removed_as_well() -> None:
    client = SimpleNamespace(
        submit=lambda *words, **_: SimpleNamespace(result=lambda *, timeout: f"removed {words[2]}")
    )
    assert destroyed(client, [ended()], "lab") == {"auto-1 at 127.0.0.1": "removed auto-1"}
