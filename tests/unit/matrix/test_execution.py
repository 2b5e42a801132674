"""Tasks on real workers, in processes of their own, with something else than a run to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selab.history import Record
from selab.matrix import cluster
from selab.matrix.cluster import LOST, local
from selab.matrix.execution import Execution, Limits
from selab.matrix.plan import Ended, Failure
from selab.matrix.work import Answer, Task
from selab.run.verdict import Verdict

from . import fakes
from .fakes import Watched, tasks

pytestmark = [pytest.mark.dask, pytest.mark.usefixtures("forked")]


class Ending(Watched):
    """Ends the scheduler before the first run."""

    def __init__(self, cluster: Any) -> None:
        super().__init__()
        self._cluster = cluster

    def planned(self, runs: int, workers: int) -> None:
        self._cluster.sync(self._cluster.scheduler.close)


def executed(
    client: Any,
    home: Path,
    function: Callable[[Task], Answer],
    count: int = 4,
    watched: Watched | None = None,
    stalled: float = 120.0,
    **limits: float,
) -> list[Ended]:
    """Execute `function` on workers, without the usual three hours to wait for a run that does not end."""
    execution = Execution(client, tasks(home, count), watched or Watched(), Limits(stalled=stalled, **limits))
    return execution.run(function)


def why(ended: Ended) -> str:
    assert isinstance(ended.result, Failure)
    return ended.result.what


def test_the_results_are_in_the_order_of_the_tasks(client: Any, tmp_path: Path) -> None:
    results = [run.result for run in executed(client, tmp_path, fakes.worked)]
    scenarios = [result.document.scenario for result in results if isinstance(result, Record)]
    assert scenarios == ["web0", "web1", "web2", "web3"]


def test_every_worker_has_one_at_a_time_and_all_have_some(client: Any, tmp_path: Path) -> None:
    executed(client, tmp_path, fakes.worked, 6)
    traces = [path.read_text().split() for path in tmp_path.glob("by-*")]
    assert len(traces) == 2
    assert all(trace == ["begin", "end"] * (len(trace) // 2) for trace in traces)


def test_they_are_begun_in_the_files_order(tmp_path: Path) -> None:
    with local(1) as client:
        executed(client, tmp_path, fakes.worked, 6, watched := Watched())
    assert watched.said == ["6 on 1", *(f"web{number}: PASS" for number in range(6))]


def test_the_progress_is_told(client: Any, tmp_path: Path) -> None:
    executed(client, tmp_path, fakes.tells, 1, watched := Watched())
    assert watched.said == ["1 on 2", "web0 at auto-1 at 127.0.0.1", "web0: Starting the VM", "web0: PASS"]


def test_what_breaks_is_an_error_of_its_run(client: Any, tmp_path: Path) -> None:
    (ended,) = executed(client, tmp_path, fakes.breaks, 1)
    assert ended.verdict is Verdict.ERROR and "could not execute" in why(ended)


def test_runs_that_do_not_end_are_errors(client: Any, tmp_path: Path) -> None:
    started = time.monotonic()
    with local(1) as other:
        ended = executed(other, tmp_path, fakes.is_stuck, 2, stalled=0.5)
    assert ["no progress" in why(run) for run in ended] == [True, True]
    assert time.monotonic() - started < 20


def test_the_run_of_a_worker_that_is_lost_is_done_again(tmp_path: Path) -> None:
    with local(2) as client:
        ended = executed(client, tmp_path, fakes.dies_once)
    assert (tmp_path / "died").exists()
    assert [run.verdict for run in ended] == [Verdict.PASS] * 4


def test_a_run_that_ends_each_of_its_workers_is_an_error_and_the_others_are_done(tmp_path: Path) -> None:
    with local(2) as client:
        ended = executed(client, tmp_path, fakes.dies_always)
    assert (tmp_path / "died").read_text() == "x" * 2 * LOST
    assert [run.verdict for run in ended] == [Verdict.PASS, Verdict.ERROR, Verdict.PASS, Verdict.PASS]


def test_without_workers_the_runs_are_errors(tmp_path: Path) -> None:
    with local(1) as client:
        client.cluster.scale(0)
        client.cluster.sync(client.cluster._correct_state)
        ended = executed(client, tmp_path, fakes.worked, 2, no_worker=0.3)
    assert {why(run) for run in ended} == {"No worker is left."}


def test_without_a_scheduler_the_runs_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ASK_LIMIT", 0.3)
    import dask
    import distributed  # noqa: F401  # it adds its defaults, which the end of the block would remove again

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), local(1) as client:
        ended = executed(client, tmp_path, fakes.worked, 2, Ending(client.cluster), no_worker=0.3)
    assert [run.verdict for run in ended] == [Verdict.ERROR] * 2
